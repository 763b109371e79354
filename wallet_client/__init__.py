"""The Python client of the wallet service, for threads and for asyncio.

>>> with WalletClient("127.0.0.1:50051") as wallets:  # doctest: +SKIP
...     wallets.transfer("wallets/alice", "wallets/bob", Amount("USD", 1005))
>>> async with AsyncWalletClient("127.0.0.1:50051") as wallets:  # doctest: +SKIP
...     await wallets.transfer("wallets/alice", "wallets/bob", Amount("USD", 1005))
"""

from wallet_client.aio.client import AsyncWalletClient
from wallet_client.causes import Cause
from wallet_client.errors import (
    CallError,
    CallFailed,
    NotConnected,
    OutcomeUnknown,
    RequestTooLarge,
    item_failed,
    unknown_outcome,
)
from wallet_client.security import AioToken, Tls, Token
from wallet_client.sync.client import WalletClient
from wallet_client.values import Amount, Payer, TransferItem, as_dict, new_request_id

__all__ = [
    "AioToken",
    "Amount",
    "AsyncWalletClient",
    "CallError",
    "CallFailed",
    "Cause",
    "NotConnected",
    "OutcomeUnknown",
    "Payer",
    "RequestTooLarge",
    "Tls",
    "Token",
    "TransferItem",
    "WalletClient",
    "as_dict",
    "item_failed",
    "new_request_id",
    "unknown_outcome",
]
