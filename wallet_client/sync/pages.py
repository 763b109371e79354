"""One page of a list at a time, for programs that show pages to people."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from wallet_client.sync.commissions import CommissionCalls
from wallet_client.sync.holds import HoldCalls
from wallet_client.sync.operations import OperationsCalls
from wallet_client.sync.schedules import ScheduleCalls
from wallet_client.sync.transactions import TransactionCalls
from wallet_client.sync.wallets import WalletCalls
from wallet_client.sync.webhooks import WebhookCalls


class PageCalls(
    WalletCalls, TransactionCalls, ScheduleCalls, HoldCalls, CommissionCalls, OperationsCalls, WebhookCalls
):
    """Single pages. The methods ``list_…`` iterate over all pages of the same lists."""

    def read_page(self, request: Message) -> Any:  # noqa: ANN401  # the response that belongs to the request
        """Return one page of a list.

        Args:
            request: the message of a list, e.g. ``ListWalletsRequest``, or ``GetStatementRequest``; its ``page_token``
                is empty for the first page, and otherwise the ``next_page_token`` of the page before.

        Raises:
            CallFailed: the call failed, e.g. ``PAGE_TOKEN_INVALID``.
            ValueError: the request is for no list.

        Example:
            >>> page = client.read_page(ListWalletsRequest(page_size=20))
        """
        name = request.DESCRIPTOR.name.removesuffix("Request")
        lists: Any = {
            "ListWallets": self._wallets,
            "ListTransactions": self._transactions,
            "GetStatement": self._transactions,
            "ListWithdrawals": self._schedules,
            "ListScheduledDeposits": self._schedules,
            "ListHolds": self._holds,
            "ListCommissionRules": self._commissions,
            "ListAttention": self._operations,
            "ListWebhooks": self._webhooks,
            "ListDeliveries": self._webhooks,
        }
        if name not in lists:
            raise ValueError(f"{name} is no list")
        return self._read(getattr(lists[name], name), request)
