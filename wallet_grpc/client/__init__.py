"""The Python client: gRPC and the protos, nothing else of ours.

>>> with WalletClient("127.0.0.1:50051") as wallets:  # doctest: +SKIP
...     wallets.transfer("wallets/alice", "wallets/bob", Amount("USD", 1005))
"""

from wallet_grpc.client.errors import CallFailed
from wallet_grpc.client.sync import Amount, WalletClient, as_dict

__all__ = ["Amount", "CallFailed", "WalletClient", "as_dict"]
