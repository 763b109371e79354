"""A response has nothing of a wallet that its caller may not read: no balance, no number in a history, no limit."""

from collections.abc import Sequence
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.requests import money, new_id
from tests.support.two_owners import ALL, TwoOwners
from tests.support.wire import all_methods


def test_money_may_be_given_to_any_wallet_and_its_balance_is_not_shown(owners: TwoOwners) -> None:
    """Neither balances nor places in another's history: not of the call, a repeat, a transaction or a list of them."""

    deposit = pb.DepositRequest(wallet="wallets/berts", amount=money(5), request_id=new_id())
    first, again = (owners.get(deposit, pb.DepositResponse, owner="anna") for _ in range(2))
    transfer = pb.TransferRequest(
        source="wallets/annas", destination="wallets/berts", amount=money(7), request_id=new_id()
    )
    moved = owners.get(transfer, pb.TransferResponse, owner="anna")
    read = owners.get(pb.GetTransactionRequest(name=moved.transaction.name), pb.GetTransactionResponse, owner="anna")
    page = owners.get(pb.ListTransactionsRequest(wallet="wallets/annas"), pb.ListTransactionsResponse, owner="anna")

    assert not first.HasField("available")
    assert not again.HasField("available")
    assert moved.source_available.minor_units == 1000 - 10 - 7
    shown = [first.transaction, again.transaction, moved.transaction, read.transaction, *page.transactions]
    found = {entry.wallet for one in shown for entry in one.entries if entry.HasField("balance_after")}
    assert found == {"wallets/annas"} == {entry.wallet for one in shown for entry in one.entries if entry.sequence}
    assert {"wallets/annas", "wallets/berts"} <= {entry.wallet for one in shown for entry in one.entries}


def test_a_caller_that_reads_no_wallet_gets_no_balance(owners: TwoOwners) -> None:
    """Its scope lets it move money, not look: no available, no balance after, no numbers in a refusal."""

    def transfer(units: int) -> Message:
        return pb.TransferRequest(
            source="wallets/annas", destination="wallets/berts", amount=money(units), request_id=new_id()
        )

    moved = owners.get(transfer(1), pb.TransferResponse, scope="money.transfer")
    refused = owners.ask(transfer(5000), "money.transfer")
    answer = owners.ask(transfer(5000), "money.transfer wallet.read")
    frozen = wallet_pb.FreezeWalletRequest(name="wallets/annas", request_id=new_id())
    wallet = owners.get(frozen, wallet_pb.FreezeWalletResponse, scope="wallet.freeze").wallet

    assert not moved.HasField("source_available")
    assert not any(entry.HasField("balance_after") for entry in moved.transaction.entries)
    assert refused.reason == answer.reason == "INSUFFICIENT_FUNDS"
    assert (refused.metadata["available"], refused.metadata["required"]) == ("", "")
    assert "989" not in refused.message
    assert answer.metadata["available"] == "989"
    assert (wallet.state, wallet.owner) == (wallet_pb.Wallet.STATE_FROZEN, "anna")
    assert not any(wallet.HasField(field) for field in ("balance", "held", "available", "overdraft_limit"))
    assert dict(wallet.labels) == {}


def test_a_limit_reveals_nothing_of_a_wallet_that_may_not_be_read(owners: TwoOwners) -> None:
    """Neither the balance, to a caller that may only write, nor how full another's wallet is."""

    def limit(units: int) -> Message:
        wallet = wallet_pb.Wallet(name="wallets/annas", overdraft_limit=money(units))
        return wallet_pb.UpdateWalletRequest(
            wallet=wallet, update_mask=FieldMask(paths=["overdraft_limit"]), request_id=new_id()
        )

    assert owners.ask(limit(100)).code == "OK"
    spend = pb.TransferRequest(
        source="wallets/annas", destination="wallets/berts", amount=money(1077), request_id=new_id()
    )
    assert owners.ask(spend).code == "OK"
    blind, seeing = owners.ask(limit(5), "wallet.write wallet.credit"), owners.ask(limit(5))
    overflow = pb.DepositRequest(
        wallet="wallets/berts", amount=money(2**63 - 1), request_id=new_id(), validate_only=True
    )
    full = owners.ask(overflow, "money.deposit", owner="anna")

    assert {one.reason for one in (blind, seeing, full)} == {"LIMIT_EXCEEDED"}
    assert (blind.metadata["limit"], full.metadata["limit"]) == ("", "")
    assert seeing.metadata["limit"] == "87"
    assert "87" not in blind.message


def test_another_callers_used_id_does_not_reveal_its_request(owners: TwoOwners) -> None:
    """A system may act for many owners under its one name."""

    used = new_id()
    assert owners.ask(wallet_pb.FreezeWalletRequest(name="wallets/berts", request_id=used)).code == "OK"
    own = wallet_pb.CloseWalletRequest(name="wallets/annas", request_id=used)
    confined, seeing = owners.as_anna(own), owners.ask(own)

    assert confined.reason == seeing.reason == "REQUEST_ID_REUSED"
    assert confined.metadata == {"requestId": used, "method": "", "resourceName": ""}
    assert "berts" not in confined.message
    assert seeing.metadata["resourceName"] == "wallets/berts"


@pytest.mark.parametrize("scope", ["wallet.read", ALL])
def test_the_services_own_wallets_are_read_by_operators_only(owners: TwoOwners, scope: str) -> None:
    """Also what they have in the entries of others' transactions."""

    external = owners.ask(wallet_pb.GetWalletRequest(name="wallets/system:external:USD"), scope)
    deposit = pb.GetTransactionRequest(name=owners.names["anna deposit"])
    entries = owners.get(deposit, pb.GetTransactionResponse, scope=scope).transaction.entries
    found = {entry.wallet for entry in entries if entry.HasField("balance_after")}

    if scope == ALL:
        assert external.code == "OK"
        assert found == {"wallets/annas", "wallets/system:external:USD"}
    else:
        assert external.metadata == {"permission": "operations"}
        assert found == {"wallets/annas"}


def test_every_field_that_has_data_of_a_wallet_is_known() -> None:
    """A balance in a new answer would otherwise be shown to all."""

    known = {"balance_after", "available", "source_available", "balance", "held", "overdraft_limit", "sequence"}
    # Of the requested wallet, which is the caller's own.
    requested = {("GetStatementResponse", "opening_balance"), ("GetStatementResponse", "closing_balance")}
    requested |= {("StatementEntry", "balance_after"), ("StatementEntry", "sequence")}
    # Of all wallets together, which operators alone may read.
    requested |= {("CurrencyFigures", "held")}
    found = {
        (message.name, field.name)
        for method in all_methods()
        for message in all_within(method.output_type)
        for field in message.fields
        if "balance" in field.name or "available" in field.name or field.name in known
    }

    redacted = {("Wallet", name) for name in ("balance", "held", "available", "overdraft_limit")}
    redacted |= {
        ("Entry", "balance_after"),
        ("Entry", "sequence"),
        ("DepositResponse", "available"),
        ("PlaceHoldResponse", "available"),
    }
    redacted |= {("TransferResponse", "source_available"), ("BatchTransferResult", "source_available")}
    assert found - requested == redacted


def all_within(message: Any, seen: frozenset[str] = frozenset()) -> Sequence[Any]:  # noqa: ANN401  # a descriptor
    """Return a message's type and those of all that it may hold."""
    if message.full_name in seen:
        return []
    inner = [field.message_type for field in message.fields if field.message_type is not None]
    return [message, *(one for kind in inner for one in all_within(kind, seen | {message.full_name}))]
