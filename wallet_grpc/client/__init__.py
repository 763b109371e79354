"""The Python client: gRPC and the protos, nothing else of ours.

>>> with WalletClient("127.0.0.1:50051") as wallets:  # doctest: +SKIP
...     wallets.transfer("wallets/alice", "wallets/bob", Amount("USD", 1005))
"""

from wallet_grpc.client.commissions import Payer
from wallet_grpc.client.errors import CallFailed, OutcomeUnknown, item_failed
from wallet_grpc.client.security import Tls, Token
from wallet_grpc.client.sync import WalletClient
from wallet_grpc.client.transactions import TransferItem
from wallet_grpc.client.values import Amount, as_dict

__all__ = [
    "Amount",
    "CallFailed",
    "OutcomeUnknown",
    "Payer",
    "Tls",
    "Token",
    "TransferItem",
    "WalletClient",
    "as_dict",
    "item_failed",
]
