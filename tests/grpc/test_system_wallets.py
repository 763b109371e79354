"""System wallets are changed by no caller: not by any call, in any field that names a wallet, with any rights.

But for what the service has earned, which operations may take out: ``test_operations_money.py``.
Calls and fields are those of the descriptors, so a new one is tried as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.rpc import error_details_pb2
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from bank_stub.server import BankServer
from tests.support.api import Api
from tests.support.callers import everything
from tests.support.fuzz_trial import listed_reasons
from tests.support.fuzzing import Chance, collection_of, is_map
from tests.support.issuer import Issuer, bearer
from tests.support.requests import a_hold, a_reversal, changed, new_id
from tests.support.sample_ledger import one_of_each
from tests.support.wire import Answer, all_methods, path_of
from wallet_core.domain.model.wallet import Role, system_wallet
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.descriptors import READS
from wallet_grpc.security.access import Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

ROLES = [role for role in Role if role is not Role.ORDINARY]
# Of a currency that is in use and has them, of one that has none yet, and of roles that there are not.
SYSTEM = [
    *(f"wallets/{system_wallet(role, currency)}" for role in ROLES for currency in ("USD", "CHF")),
    *("wallets/system:ordinary:USD", "wallets/system:nonsense:USD", "wallets/system:external:ZZZ"),
]
WRITES = {path_of(method): method for method in all_methods() if f"/wallet.v1.{path_of(method)}" not in READS}

APPLIED_TO_WALLET = schedule_pb.RESOLUTION_KIND_APPLIED_TO_WALLET

EARNED = frozenset(f"wallets/{system_wallet(Role.COMMISSION, currency)}" for currency in ("USD", "CHF"))

Way = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A field of a call that names a wallet, however deep it lies."""

    method: MethodDescriptor
    way: Way

    def __str__(self) -> str:
        return f"{self.method.name} {'.'.join(self.way)}"

    @property
    def takes_what_was_earned(self) -> bool:
        """Whether operations may name the commission wallet there."""
        return self.way[-1] == "source" or (self.method.name, self.way) == ("ScheduleWithdrawal", ("wallet",))

    def put(self, request: Any, wallet: str) -> Any:  # noqa: ANN401  # any request
        """Return the request with this wallet there: in each item by itself, or in the last of all."""
        requested = changed(request)
        inside = [requested]
        for step in self.way[:-1]:
            found = getattr(inside[0], step)
            several = isinstance(found, Sequence)
            inside = list(found if requested.mode == pb.BATCH_MODE_ITEM else found[-1:]) if several else [found]
        for one in inside:
            setattr(one, self.way[-1], wallet)
        return requested


def ways(kind: Descriptor) -> Iterator[Way]:
    """Yield the way to each field of a message that names a wallet."""
    for field in kind.fields:
        if collection_of(field) == "wallets":
            yield (field.name,)
        elif field.message_type is not None and not is_map(field):
            yield from ((field.name, *way) for way in ways(field.message_type))


# Documented in the protos as not read.
NOT_READ = ("CreateWallet", ("wallet", "name"))
PLACES = [
    Place(method, way)
    for method in WRITES.values()
    for way in ways(method.input_type)
    if (method.name, way) != NOT_READ
]


@pytest.fixture
def chance(api: Api) -> Chance:
    """Return a generator of valid requests that move money between two wallets and change one's dependent rows."""
    for wallet in ("alice", "bob", "carol"):
        api.open(wallet, 1000)
    nothing = "01900000-0000-7000-8000-000000000000"
    names = {kind: [f"{kind}/{nothing}"] for kind in ("transactions", "withdrawals", "scheduledDeposits")}
    names |= {"commissionRules": [f"commissionRules/{nothing}"], "bankStatementLines": ["bankStatementLines/77"]}
    names |= {"holds": [api.ok(a_hold("carol", 10)).hold.name], "wallets": ["wallets/alice", "wallets/bob"]}
    return Chance("system wallets", names)


def requests_at(place: Place, chance: Chance) -> Iterator[Any]:
    """Yield valid requests that name a wallet there, of each mode where there are several."""
    modes = (pb.BATCH_MODE_ATOMIC, pb.BATCH_MODE_ITEM) if "mode" in place.method.input_type.fields_by_name else (0,)
    for mode in modes:
        while True:
            made = chance.valid(place.method.input_type)
            if mode and made.mode != mode:
                continue
            if place.way == ("destination",) and place.method.name.startswith("Resolve"):
                made.resolution, made.destination, made.bank_reference = APPLIED_TO_WALLET, "wallets/alice", ""
            break
        yield made


def refusals(answer: Answer) -> list[Any]:
    """Return every ``ErrorInfo`` that a call was answered with, or each of its items."""
    if answer.code == "OK":
        errors = [result.error for result in pb.BatchTransferResponse.FromString(answer.body).results]
        assert {error.code for error in errors} == {grpc.StatusCode.PERMISSION_DENIED.value[0]}
        details = [one for error in errors for one in error.details]
        return [unpacked(one) for one in details if one.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    assert answer.code == "PERMISSION_DENIED", answer
    return list(answer.infos)


def unpacked(detail: Any) -> Any:  # noqa: ANN401  # google.rpc has no types
    """Return an unpacked ``ErrorInfo``."""
    return error_details_pb2.ErrorInfo.FromString(detail.value)


def test_the_calls_that_name_wallets_are_those_that_declare_it() -> None:
    """A call that can be refused for it lists PERMISSION_MISSING."""

    listed = listed_reasons()
    names = {place.method.name for place in PLACES}

    assert names <= {method.name for method in WRITES.values() if "PERMISSION_MISSING" in listed[method.name]}
    assert len(PLACES) >= 16
    assert {place.way[-1] for place in PLACES} == {"wallet", "name", "source", "destination"}


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_call_that_changes_something_takes_a_system_wallet(
    api: Api, owner: psycopg.Connection, chance: Chance, place: Place
) -> None:
    """PERMISSION_MISSING of every role, existing or not, done or validated; nothing is stored, so the id is free."""

    rows = owner.execute("SELECT DISTINCT role FROM wallets").fetchall()
    assert {role for (role,) in rows} == set(Role)

    for request in requests_at(place, chance):
        before = everything(owner)
        call = partial(api.call, path_of(place.method))
        forbidden = [wallet for wallet in SYSTEM if not (place.takes_what_was_earned and wallet in EARNED)]
        for wallet, validate_only in product(forbidden, (False, True)):
            answer = call(changed(place.put(request, wallet), validate_only=validate_only))
            results = [(info.reason, dict(info.metadata)) for info in refusals(answer)]
            atomic = getattr(request, "mode", 0) == pb.BATCH_MODE_ATOMIC
            item = {"item": str(len(request.items) - 1)} if atomic else {}
            about = {"permission": "none", "outcome": "NOT_DONE_RETRY", **item}
            assert results == [("PERMISSION_MISSING", about)] * max(len(results), 1), wallet
        after = everything(owner)
        otherwise = call(changed(request, validate_only=True))

        assert after == before
        assert otherwise.reason not in {"PERMISSION_MISSING", "INVALID_FIELDS", "REQUEST_ID_REUSED"}, otherwise


def test_no_wallet_is_opened_under_the_name_of_a_system_wallet(api: Api, owner: psycopg.Connection) -> None:
    """Its id is reserved; and ``name`` is not read."""

    api.open("alice", currency="USD")
    before = everything(owner)
    for wallet in SYSTEM:
        request = wallet_pb.CreateWalletRequest(
            wallet_id=wallet.removeprefix("wallets/"), wallet=wallet_pb.Wallet(currency_code="USD"), request_id=new_id()
        )
        assert api.refused(request).reason == "INVALID_FIELDS"
    assert everything(owner) == before

    named = wallet_pb.Wallet(name=SYSTEM[0], currency_code="USD")
    made = api.ok(wallet_pb.CreateWalletRequest(wallet_id="new", wallet=named, request_id=new_id()))
    assert made.wallet.name == "wallets/new"


def test_no_dependent_row_of_a_system_wallet_is_changed_by_a_caller(
    api: Api, app: App, bank: BankServer, owner: psycopg.Connection
) -> None:
    """What moved money between the wallets of the service and others is not reversible, deposits apart."""

    one_of_each(api, app, bank)
    legs = owner.execute(
        """
        SELECT DISTINCT t.id, t.type FROM transactions t
        JOIN entries e ON e.transaction = t.id JOIN wallets w ON w.key = e.wallet
        WHERE w.role IN ('EXTERNAL', 'IN_TRANSIT') AND t.type NOT IN ('DEPOSIT', 'REVERSAL')
        """
    ).fetchall()
    before = everything(owner)
    found = {
        (kind, api.refused(a_reversal(f"transactions/{id_}", units)).reason)
        for id_, kind in legs
        for units in (None, 1)
    }
    after = everything(owner)

    assert {kind for kind, _ in found} >= {"WITHDRAWAL", "WITHDRAWAL_SETTLEMENT", "WITHDRAWAL_RELEASE", "COLLECTION"}
    assert {reason for _, reason in found} <= {"STATE_TRANSITION_FORBIDDEN", "WALLET_NOT_ACTIVE"}
    assert {table for table in before if before[table] != after[table]} == {"requests"}


def test_without_scope_and_owner_no_caller_changes_a_system_wallet(
    app: App, guarded: Settings, issuer: Issuer, owner: psycopg.Connection, chance: Chance
) -> None:
    """Operators are refused with any scopes, a caller with an owner is, and one who is no operator.

    These two of what the service has earned as well.
    """

    no_operator = " ".join(set(Scope) - {Scope.OPERATIONS})
    readers: list[tuple[str, dict[str, Any], str]] = [
        (" ".join(Scope), {}, SYSTEM[0]),
        (" ".join(Scope), {"owner": "anna"}, SYSTEM[0]),
        (" ".join(Scope), {"owner": "anna"}, min(EARNED)),
        (no_operator, {}, min(EARNED)),
    ]
    with serving(app, guarded, authentication(guarded)) as port:
        before = everything(owner)
        for scope, claims, wallet in readers:
            with Api(f"127.0.0.1:{port}", metadata=bearer(issuer.token(scope, **claims))) as api:
                for place in PLACES:
                    for request in requests_at(place, chance):
                        answer = api.call(path_of(place.method), place.put(request, wallet))
                        infos = refusals(answer)
                        assert {info.reason for info in infos} == {"PERMISSION_MISSING"}, place
                        if not claims and not place.method.name.startswith("Resolve"):
                            assert {info.metadata["permission"] for info in infos} == {"none"}, place
        assert everything(owner) == before
