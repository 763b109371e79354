"""Callers confined to one owner change and read that owner's wallets only."""

from collections.abc import Callable

import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from wallet.v1 import audit_service_pb2 as audit_pb
from wallet.v1 import commission_pb2
from wallet.v1 import commission_service_pb2 as rule_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import operations_service_pb2 as operations_pb
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.callers import everything
from tests.support.requests import money, new_id, stamp
from tests.support.sample_ledger import LATER
from tests.support.two_owners import LONG_AGO, THEN, TwoOwners
from tests.support.wire import all_methods, path_of
from wallet_grpc.descriptors import CALLS, OwnerAccess
from wallet_grpc.security.access import SCOPES

NOBODY = "01900000-0000-7000-8000-000000000000"


Make = Callable[[TwoOwners, str], Message]

# One request a method, by the owner whose wallet or dependent resource it names.
REQUESTS: dict[str, Make] = {
    "WalletService/CreateWallet": lambda _, owner: wallet_pb.CreateWalletRequest(
        wallet_id=f"{owner}s-second", wallet=wallet_pb.Wallet(currency_code="USD", owner=owner), request_id=new_id()
    ),
    "WalletService/GetWallet": lambda _, owner: wallet_pb.GetWalletRequest(name=f"wallets/{owner}s"),
    "WalletService/BatchGetWallets": lambda _, owner: wallet_pb.BatchGetWalletsRequest(
        names=["wallets/annas", f"wallets/{owner}s"] if owner != "anna" else ["wallets/annas"]
    ),
    "WalletService/UpdateWallet": lambda _, owner: wallet_pb.UpdateWalletRequest(
        wallet=wallet_pb.Wallet(name=f"wallets/{owner}s", display_name="x"),
        update_mask=FieldMask(paths=["display_name"]),
        request_id=new_id(),
    ),
    "WalletService/CloseWallet": lambda _, owner: wallet_pb.CloseWalletRequest(
        name=f"wallets/{owner}s", request_id=new_id()
    ),
    "TransactionService/Transfer": lambda _, owner: pb.TransferRequest(
        source=f"wallets/{owner}s",
        destination="wallets/berts" if owner == "anna" else "wallets/annas",
        amount=money(1),
        request_id=new_id(),
    ),
    "TransactionService/BatchTransfer": lambda _, owner: pb.BatchTransferRequest(
        mode=pb.BATCH_MODE_ATOMIC,
        request_id=new_id(),
        items=[
            pb.TransferItem(source="wallets/annas", destination="wallets/berts", amount=money(1)),
            pb.TransferItem(source=f"wallets/{owner}s", destination="wallets/berts", amount=money(1)),
        ]
        if owner != "bert"
        else [pb.TransferItem(source="wallets/berts", destination="wallets/annas", amount=money(1))],
    ),
    "TransactionService/ReverseTransaction": lambda owners, owner: pb.ReverseTransactionRequest(
        name=owners.names.get(f"{owner} deposit", f"transactions/{NOBODY}"), amount=money(5), request_id=new_id()
    ),
    "TransactionService/GetTransaction": lambda owners, owner: pb.GetTransactionRequest(
        name=owners.names.get(f"{owner} deposit", f"transactions/{NOBODY}")
    ),
    "TransactionService/GetReceipt": lambda owners, owner: pb.GetReceiptRequest(
        name=owners.names.get(f"{owner} deposit", f"transactions/{NOBODY}")
    ),
    "TransactionService/ListTransactions": lambda _, owner: pb.ListTransactionsRequest(wallet=f"wallets/{owner}s"),
    "TransactionService/GetStatement": lambda _, owner: pb.GetStatementRequest(
        wallet=f"wallets/{owner}s", start_time=stamp(LONG_AGO), end_time=stamp(THEN)
    ),
    "TransactionService/ExportStatement": lambda _, owner: pb.ExportStatementRequest(
        wallet=f"wallets/{owner}s", start_time=stamp(LONG_AGO), end_time=stamp(THEN)
    ),
    "ScheduleService/ScheduleWithdrawal": lambda _, owner: order_pb.ScheduleWithdrawalRequest(
        wallet=f"wallets/{owner}s", amount=money(1), execute_time=stamp(LATER), request_id=new_id()
    ),
    "ScheduleService/GetWithdrawal": lambda owners, owner: order_pb.GetWithdrawalRequest(
        name=owners.names.get(f"{owner} withdrawal", f"withdrawals/{NOBODY}")
    ),
    "ScheduleService/ListWithdrawals": lambda _, owner: order_pb.ListWithdrawalsRequest(wallet=f"wallets/{owner}s"),
    "ScheduleService/CancelWithdrawal": lambda owners, owner: order_pb.CancelWithdrawalRequest(
        name=owners.names.get(f"{owner} withdrawal", f"withdrawals/{NOBODY}"), request_id=new_id()
    ),
    "ScheduleService/GetScheduledDeposit": lambda owners, owner: order_pb.GetScheduledDepositRequest(
        name=owners.names.get(f"{owner} scheduled", f"scheduledDeposits/{NOBODY}")
    ),
    "ScheduleService/ListScheduledDeposits": lambda _, owner: order_pb.ListScheduledDepositsRequest(
        wallet=f"wallets/{owner}s"
    ),
    "ScheduleService/CancelScheduledDeposit": lambda owners, owner: order_pb.CancelScheduledDepositRequest(
        name=owners.names.get(f"{owner} scheduled", f"scheduledDeposits/{NOBODY}"), request_id=new_id()
    ),
    "HoldService/PlaceHold": lambda _, owner: hold_pb.PlaceHoldRequest(
        wallet=f"wallets/{owner}s", amount=money(1), expire_time=stamp(LATER), request_id=new_id()
    ),
    "HoldService/CaptureHold": lambda owners, owner: hold_pb.CaptureHoldRequest(
        name=owners.names.get(f"{owner} hold", f"holds/{NOBODY}"),
        destination="wallets/berts" if owner == "anna" else "wallets/annas",
        request_id=new_id(),
    ),
    "HoldService/VoidHold": lambda owners, owner: hold_pb.VoidHoldRequest(
        name=owners.names.get(f"{owner} hold", f"holds/{NOBODY}"), request_id=new_id()
    ),
    "HoldService/GetHold": lambda owners, owner: hold_pb.GetHoldRequest(
        name=owners.names.get(f"{owner} hold", f"holds/{NOBODY}")
    ),
    "HoldService/ListHolds": lambda _, owner: hold_pb.ListHoldsRequest(wallet=f"wallets/{owner}s"),
    "CommissionService/QuoteCommission": lambda _, owner: rule_pb.QuoteCommissionRequest(
        source=f"wallets/{owner}s", destination="wallets/berts" if owner == "anna" else "wallets/annas", amount=money(1)
    ),
}
# Of webhooks, not of wallets: tests/grpc/test_webhooks.py looks at each.
WEBHOOKS = {path_of(method) for method in all_methods() if path_of(method).startswith("WebhookService/")}
# Calls that only credit may be made for any wallet.
GAINS = {"TransactionService/Deposit", "ScheduleService/ScheduleDeposit"}
# Filtered by the owner, in the servicer. Written out: a new one needs a test of its own that it really filters.
FILTERED = {
    *("WalletService/ListWallets", "WalletService/ListCurrencies", "EventService/WatchEvents"),
    "InfoService/GetServiceInfo",  # has nothing of any owner's
}
# About all owners, or decided about an owner and not by one: for no confined caller.
EVERYBODYS: dict[str, Message] = {
    "WalletService/FreezeWallet": wallet_pb.FreezeWalletRequest(name="wallets/annas", request_id=new_id()),
    "WalletService/UnfreezeWallet": wallet_pb.UnfreezeWalletRequest(name="wallets/annas", request_id=new_id()),
    "CommissionService/CreateCommissionRule": rule_pb.CreateCommissionRuleRequest(
        rule=rule_pb.CommissionRule(currency_code="USD", payer=commission_pb2.COMMISSION_PAYER_SOURCE),
        request_id=new_id(),
    ),
    "CommissionService/EndCommissionRule": rule_pb.EndCommissionRuleRequest(
        name=f"commissionRules/{NOBODY}", request_id=new_id()
    ),
    "CommissionService/GetCommissionRule": rule_pb.GetCommissionRuleRequest(name=f"commissionRules/{NOBODY}"),
    "CommissionService/ListCommissionRules": rule_pb.ListCommissionRulesRequest(),
    "AuditService/VerifyLedger": audit_pb.VerifyLedgerRequest(),
    "AuditService/ExportCheckpoints": audit_pb.ExportCheckpointsRequest(),
    "AuditService/ListCheckpointKeys": audit_pb.ListCheckpointKeysRequest(),
    "OperationsService/ListAttention": operations_pb.ListAttentionRequest(),
    "OperationsService/GetFigures": operations_pb.GetFiguresRequest(),
    "OperationsService/ResolveWithdrawal": operations_pb.ResolveWithdrawalRequest(),
    "OperationsService/ResolveScheduledDeposit": operations_pb.ResolveScheduledDepositRequest(),
    "OperationsService/ResolveDiscrepancy": operations_pb.ResolveDiscrepancyRequest(),
    "OperationsService/AcceptBankStatement": operations_pb.AcceptBankStatementRequest(),
}


def test_every_call_is_looked_at_here() -> None:
    """A new one must be classified as one kind or another."""

    known = [set(REQUESTS), GAINS, FILTERED, set(EVERYBODYS), WEBHOOKS]
    assert set().union(*known) == {path_of(method) for method in all_methods()}
    assert sum(map(len, known)) == len(all_methods())
    declared = {path.removeprefix("/wallet.v1."): call.owner_access for path, call in CALLS.items()}
    assert set(EVERYBODYS) == {path for path, access in declared.items() if access is OwnerAccess.DENIED}
    assert {path for path, access in declared.items() if access is OwnerAccess.FILTERED} == FILTERED
    assert {path for path, access in declared.items() if access is OwnerAccess.OWN_WEBHOOKS} == WEBHOOKS


@pytest.mark.parametrize("method", REQUESTS)
def test_an_owners_caller_is_let_at_its_own_wallets_only(
    owners: TwoOwners, owner: psycopg.Connection, method: str
) -> None:
    """S9: PERMISSION_DENIED for another owner's and for what is not there, word for word the same; nothing changed."""

    make = REQUESTS[method]
    before = everything(owner)
    others, absent = (owners.as_anna(make(owners, whose)) for whose in ("bert", "nobody"))
    unchanged = everything(owner) == before
    own = owners.as_anna(make(owners, "anna"))

    assert (others.code, others.reason, others.metadata) == (
        "PERMISSION_DENIED",
        "PERMISSION_MISSING",
        {"permission": "owner"},
    )
    assert absent == others
    assert unchanged
    assert own.reason in {"", "STATE_TRANSITION_FORBIDDEN"}  # closing one with money


@pytest.mark.parametrize("method", EVERYBODYS)
def test_calls_about_all_owners_are_not_an_owners(owners: TwoOwners, method: str) -> None:
    """With any scopes in its token."""

    answer = owners.as_anna(EVERYBODYS[method])

    assert answer.reason == "PERMISSION_MISSING"
    assert answer.metadata["permission"] in {"owner", SCOPES[f"/wallet.v1.{method}"]}


@pytest.mark.parametrize(
    "request_",
    [
        pb.ListTransactionsRequest(),
        pb.ListTransactionsRequest(filter='external_reference = "r"'),
        hold_pb.ListHoldsRequest(),
        order_pb.ListWithdrawalsRequest(),
        order_pb.ListScheduledDepositsRequest(),
    ],
)
def test_a_list_of_all_wallets_is_not_an_owners(owners: TwoOwners, request_: Message) -> None:
    """It has to name one."""

    assert owners.as_anna(request_).metadata == {"permission": "owner"}


def test_the_list_of_wallets_has_its_own_only_under_any_filter(owners: TwoOwners) -> None:
    """Also with a filter for another owner."""

    def listed(filter_: str) -> list[str]:
        request = wallet_pb.ListWalletsRequest(filter=filter_)
        found = owners.get(request, wallet_pb.ListWalletsResponse, owner="anna")
        return [wallet.name for wallet in found.wallets]

    assert listed("") == ["wallets/annas"]
    assert listed('owner = "bert"') == []
    assert listed('labels.plan = "gold"') == ["wallets/annas"]


def test_a_wallet_cannot_be_opened_for_another_owner(owners: TwoOwners) -> None:
    """Nor without an owner: it would be out of reach at once."""

    for whose in ("bert", ""):
        wallet = wallet_pb.Wallet(currency_code="USD", owner=whose)
        request = wallet_pb.CreateWalletRequest(wallet_id="new", wallet=wallet, request_id=new_id())
        assert owners.as_anna(request).metadata == {"permission": "owner"}


def test_each_item_of_a_batch_is_looked_at_by_itself(owners: TwoOwners) -> None:
    """One's own is done, another's refused; the refused wallet's balance is not shown."""

    items = [
        pb.TransferItem(source=f"wallets/{source}", destination="wallets/berts", amount=money(1), request_id=new_id())
        for source in ("annas", "nobodys")
    ]
    items.append(
        pb.TransferItem(source="wallets/berts", destination="wallets/annas", amount=money(1), request_id=new_id())
    )
    request = pb.BatchTransferRequest(mode=pb.BATCH_MODE_ITEM, items=items)
    results = owners.get(request, pb.BatchTransferResponse, owner="anna").results

    assert [bool(result.transaction.name) for result in results] == [True, False, False]
    assert results[1].error.message == results[2].error.message
    assert results[0].source_available.minor_units == 989


def test_a_deposit_is_reversed_only_by_callers_that_may_deposit(owners: TwoOwners) -> None:
    """A transfer's scope is enough for a transfer."""

    request = pb.ReverseTransactionRequest(name=owners.names["anna deposit"], amount=money(5), request_id=new_id())
    without = owners.ask(request, "money.transfer")
    with_it = owners.ask(request, "money.transfer money.deposit")

    assert without.metadata == {"permission": "money.deposit"}
    assert with_it.code == "OK"


@pytest.mark.parametrize("owner", ["", 7, False, ["anna"]])
def test_an_owner_that_is_no_name_is_no_owner(owners: TwoOwners, owner: object) -> None:
    """A token whose claim cannot be understood must not open everything."""

    request = wallet_pb.GetWalletRequest(name="wallets/annas")
    assert owners.ask(request, owner=owner).reason == "CREDENTIALS_INVALID"
