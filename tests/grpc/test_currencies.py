"""Currencies: their decimals are what was recorded with the first wallet, even if ISO 4217 changes later."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from wallet.v1 import commission_pb2, transaction_service_pb2
from wallet.v1 import commission_service_pb2 as commission_service_pb
from wallet.v1 import wallet_service_pb2 as pb

from tests.documents.samples import text_of
from tests.support import commands
from tests.support.api import Api
from tests.support.callers import everything
from tests.support.database import Database
from tests.support.issuer import Issuer, bearer
from tests.support.requests import a_transfer, new_id, stamp
from tests.support.together import together
from wallet_core.bootstrap import open_app
from wallet_core.domain.deciding.decision import Request
from wallet_core.domain.model.errors import DatabaseUnavailable, InvalidField, LedgerBroken
from wallet_core.domain.model.money import Currency
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.change_wallet import change_wallet
from wallet_core.usecases.currencies import Currencies
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

pytestmark = pytest.mark.own_app  # what a core has read of currencies holds for its own books

LEV = Currency("BGN", 2)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def open_before(app: App, wallet: str, listed: Currency, request: Request | None = None) -> None:
    """Open a wallet as a release does whose ISO 4217 has these decimals for its currency."""
    fields = {"listed": listed} if request is None else {"listed": listed, "request": request}
    change_wallet(app, commands.a_new_wallet(wallet, listed.code, **fields))


@pytest.fixture
def speaking(server: str) -> Iterator[Api]:
    """Return a channel whose caller gets English messages."""
    with Api(server, metadata=(("accept-language", "en"),)) as speaking:
        yield speaking


def written_down(owner: psycopg.Connection) -> dict[str, int]:
    """Return what is recorded."""
    return dict(owner.execute("SELECT code, exponent FROM currencies").fetchall())


def export(api: Api, wallet: str) -> str:
    """Return all of a wallet's entries as CSV."""
    request = transaction_service_pb2.ExportStatementRequest(
        wallet=f"wallets/{wallet}", start_time=stamp(FIRST), end_time=stamp(LAST)
    )
    return b"".join(part.data for part in api.stream(request)).decode()


def a_wallet(wallet: str, currency: str) -> pb.CreateWalletRequest:
    """Return a request for a new wallet."""
    return pb.CreateWalletRequest(wallet_id=wallet, wallet=pb.Wallet(currency_code=currency), request_id=new_id())


def a_rule(currency: str) -> commission_service_pb.CreateCommissionRuleRequest:
    """Return a request for a rule that takes a minor unit."""
    rule = commission_service_pb.CommissionRule(
        currency_code=currency, fixed_minor_units=1, payer=commission_pb2.COMMISSION_PAYER_SOURCE
    )
    return commission_service_pb.CreateCommissionRuleRequest(rule=rule, request_id=new_id())


def test_a_withdrawn_currency_continues_in_the_wallets_that_have_it(api: Api, speaking: Api, app: App) -> None:
    """Deposits, commission, transfers, lists, exports, receipts, refusals, and repeats of earlier requests."""

    before = Request("local", uuid4())
    open_before(app, "anna", LEV, before)
    open_before(app, "boris", LEV)

    api.deposit("anna", 1005, "BGN")
    api.ok(a_rule("BGN"))
    moved = api.ok(a_transfer("anna", "boris", 250, "BGN")).transaction
    listed = api.ok(pb.ListWalletsRequest(filter='currency_code = "BGN"')).wallets
    refused = speaking.refused(a_transfer("anna", "boris", 1000, "BGN"))
    again = a_wallet("anna", "BGN")
    again.request_id = str(before.id)
    repeated = api.ok(again)

    assert [wallet.name for wallet in listed] == ["wallets/boris", "wallets/anna"]
    assert [line.split(",")[5:8] for line in export(api, "anna").splitlines()[1:]] == [
        ["10.05", "10.05", "BGN"],
        ["-2.51", "7.54", "BGN"],
    ]
    receipt = api.ok(transaction_service_pb2.GetReceiptRequest(name=moved.name))
    assert "2.50 BGN" in text_of(receipt.pdf)
    assert (refused.reason, "7.54 BGN" in refused.localized) == ("INSUFFICIENT_FUNDS", True)
    assert (repeated.wallet.name, repeated.wallet.balance.minor_units, repeated.replayed) == ("wallets/anna", 754, True)


def test_nothing_new_begins_in_a_currency_that_is_not_listed(api: Api, app: App, owner: psycopg.Connection) -> None:
    """Withdrawn or never defined; a rule is no exception where wallets exist. The refusal is not stored."""

    open_before(app, "anna", LEV)
    before = everything(owner)

    for request in (a_wallet("boris", "BGN"), a_wallet("boris", "QQQ"), a_rule("QQQ")):
        assert api.refused(request).reason == "INVALID_FIELDS"

    assert everything(owner) == before


def test_a_changed_exponent_never_scales_what_is_there_anew(
    api: Api, speaking: Api, app: App, owner: psycopg.Connection
) -> None:
    """The yen had two decimals when its first wallet was opened: the database's word wins, over later wallets too."""

    open_before(app, "jun", Currency("JPY", 2))
    api.open("yui", currency="JPY")
    api.deposit("yui", 12345, "JPY")
    moved = api.ok(a_transfer("yui", "jun", 5, "JPY")).transaction

    assert written_down(owner) == {"JPY": 2}
    assert [line.split(",")[6] for line in export(api, "yui").splitlines()[1:]] == ["123.45", "123.40"]
    receipt = api.ok(transaction_service_pb2.GetReceiptRequest(name=moved.name, language="en"))
    assert "0.05 JPY" in text_of(receipt.pdf)
    refused = speaking.refused(a_transfer("yui", "jun", 99999, "JPY"))
    assert "123.40 JPY" in refused.localized
    found = {one.code: one for one in api.ok(pb.ListCurrenciesRequest()).currencies}
    assert (found["JPY"].exponent, found["JPY"].open_to_new_wallets) == (2, True)


def test_servers_of_two_releases_that_open_the_first_wallet_at_once_agree(
    app: App, settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """One writes the currency down, the other keeps to it; both wallets are opened."""

    def opening(one: App, wallet: str, listed: Currency) -> Callable[[], None]:
        return lambda: open_before(one, wallet, listed)

    with open_app(settings, name="tests") as other:
        for code in ("CLF", "KWD", "IRR"):
            twins = [
                opening(app, f"{code}-1".lower(), Currency(code, 2)),
                opening(other, f"{code}-2".lower(), Currency(code, 4)),
            ]
            assert together(twins) == [None, None]

        assert written_down(owner).keys() == {"CLF", "KWD", "IRR"}
        assert set(written_down(owner).values()) <= {2, 4}
        for code, exponent in written_down(owner).items():
            assert app.currencies.exponent_of(code) == other.currencies.exponent_of(code) == exponent
    assert database.broken_rules() == []


def test_what_is_written_down_before_the_first_wallet_holds_for_it(api: Api, owner: psycopg.Connection) -> None:
    """By an owner whose list is newer than the library: the wallet is opened."""

    owner.execute("INSERT INTO currencies VALUES ('ISK', 2)")

    api.open("jon", currency="ISK")
    api.deposit("jon", 105, currency="ISK")

    assert written_down(owner) == {"ISK": 2}
    assert export(api, "jon").splitlines()[1].split(",")[5] == "1.05"


def test_a_currency_is_written_down_with_a_wallet_and_not_before(api: Api, app: App, owner: psycopg.Connection) -> None:
    """Not by a validation, nor by a refusal; by a rule, which brings the service's own wallets."""

    request = a_wallet("alice", "USD")
    request.validate_only = True
    api.ok(request)
    with pytest.raises(InvalidField):
        change_wallet(app, commands.a_new_wallet("anna", "BGN", listed=None))
    assert written_down(owner) == {}

    api.open("alice")
    api.ok(a_rule("KWD"))
    assert written_down(owner) == {"USD": 2, "KWD": 3}


def test_all_currencies_are_listed(api: Api, app: App) -> None:
    """What wallets are in as recorded, the rest as ISO 4217 has it; what was withdrawn is closed to new wallets."""

    open_before(app, "anna", LEV)
    listed = api.ok(pb.ListCurrenciesRequest()).currencies
    found = {one.code: (one.exponent, one.open_to_new_wallets) for one in listed}

    assert [one.code for one in listed] == sorted(found)
    assert found["BGN"] == (2, False)
    assert (found["USD"], found["JPY"], found["KWD"], found["CLF"]) == ((2, True), (0, True), (3, True), (4, True))
    assert found.keys().isdisjoint({"XAU", "XXX", "QQQ", "HRK"})


def test_every_known_caller_lists_the_currencies_and_no_one_else(app: App, guarded: Settings, issuer: Issuer) -> None:
    """Amounts are shown to callers with any scope, or confined to an owner."""

    def answer(*metadata: tuple[str, str]) -> str:
        with Api(f"127.0.0.1:{port}", metadata=metadata) as api:
            refusal = api.call("WalletService/ListCurrencies", pb.ListCurrenciesRequest())
            return refusal.reason or refusal.code

    with serving(app, guarded, authentication(guarded)) as port:
        assert answer(*bearer(issuer.token("events.read"))) == "OK"
        assert answer(*bearer(issuer.token("wallet.read", owner="ada"))) == "OK"
        assert answer() == "CREDENTIALS_INVALID"


def test_what_was_written_down_is_read_once() -> None:
    """It never changes. A currency that came since is looked up; one that is in no wallet is a defect."""

    reads: list[dict[str, Currency]] = []
    stored = {"USD": Currency("USD", 2)}

    def read() -> dict[str, Currency]:
        reads.append(dict(stored))
        return reads[-1]

    currencies = Currencies(read)
    assert [currencies.exponent_of("USD") for _ in range(3)] == [2, 2, 2]
    assert len(reads) == 1
    stored["JPY"] = Currency("JPY", 0)
    assert (currencies.exponent_of("JPY"), currencies.exponent_of("USD"), len(reads)) == (0, 2, 2)
    with pytest.raises(LedgerBroken):
        currencies.exponent_of("QQQ")


def test_an_error_is_returned_though_the_decimals_cannot_be_read() -> None:
    """Without its amounts, then; no read after a commit may fail."""

    def fail() -> dict[str, Currency]:
        raise DatabaseUnavailable

    assert Currencies(fail).exponent_if_known("USD") is None
