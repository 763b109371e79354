"""Fuzzing: any request is done or refused with a documented reason; a refusal reveals no internals, moves nothing.

Requests are generated from a seed, for every method of every service; the seed is shown where a test fails.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from bank_stub.server import BankServer
from tests.support.api import Api
from tests.support.fuzz_trial import METHODS, Recording, Trial
from tests.support.fuzzing import Chance, collection_of, is_control, message_of
from tests.support.issuer import Issuer, bearer
from tests.support.sample_ledger import one_of_each
from tests.support.toolchain import often
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

LISTS = {path: one for path, one in METHODS.items() if "page_token" in one.input_type.fields_by_name}
FILTERED = {path: one for path, one in LISTS.items() if "filter" in one.input_type.fields_by_name}

# How often everything is tried: the same once, or other requests many times.
OFTEN = pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings by which every doubt is shown to a person, so that there is a list of some."""
    return settings.replaced(payout_attention_after_s=0.001)


@pytest.fixture
def seed(rounds: int) -> str:
    """Return the seed: always the same for what runs always."""
    return "garbage" if rounds == 1 else uuid4().hex


@pytest.fixture
def trial(api: Api, app: App, bank: BankServer, owner: psycopg.Connection, seed: str) -> Iterator[Trial]:
    """Return books with something of everything, and a channel to try them on."""
    one_of_each(api, app, bank)
    with Recording(api.target, metadata=[("accept-language", "fa, *;q=x")]) as recording:
        yield Trial(recording, owner, seed)


@pytest.fixture
def chance(owner: psycopg.Connection, seed: str, trial: Trial) -> Chance:
    """Return what makes requests up: it knows what is there, and something that is not."""
    del trial

    def ids(query: str) -> list[str]:
        return [str(id_) for (id_,) in owner.execute(query.encode()).fetchall()]

    kinds = {
        "wallets": "SELECT id FROM wallets WHERE role = 'ORDINARY' ORDER BY key",
        "transactions": "SELECT id FROM transactions ORDER BY id",
        "withdrawals": "SELECT id FROM withdrawals ORDER BY id",
        "scheduledDeposits": "SELECT id FROM scheduled_deposits ORDER BY id",
        "holds": "SELECT id FROM holds ORDER BY id",
        "commissionRules": "SELECT id FROM commission_rules ORDER BY id",
        "bankStatementLines": "SELECT number FROM bank_statement_lines ORDER BY number",
        "bankStatements": "SELECT number FROM bank_statements ORDER BY number",
        "webhooks": "SELECT id FROM webhooks ORDER BY id",
    }
    absent = {"wallets": "nobody", "bankStatementLines": "77", "bankStatements": "77"}
    nothing = "01900000-0000-7000-8000-000000000000"
    names = {
        kind: [f"{kind}/{id_}" for id_ in [*ids(query), absent.get(kind, nothing)]] for kind, query in kinds.items()
    }
    assert all(len(found) > 1 for found in names.values()), names
    known = {collection_of(one) for method in METHODS.values() for one in method.input_type.fields} - {None}
    assert known <= names.keys()
    return Chance(seed, names)


def assert_tried(trial: Trial, tried: int) -> None:
    """Check that every method was tried so often, and was refused, so that nothing passes by trying nothing."""
    assert set(trial.tried) == set(METHODS)
    assert min(trial.tried.values()) >= tried
    assert [path for path in METHODS if METHODS[path].input_type.fields and not trial.refused[path]] == []


@OFTEN
def test_bytes_are_refused_by_name_or_are_a_request(trial: Trial, chance: Chance, rounds: int) -> None:
    """Any bytes at all, and those of valid requests with some flipped, cut, inserted, doubled or taken out."""

    for path, method in METHODS.items():
        for _ in range(rounds):
            for _ in range(often(6)):
                trial.send(path, chance.noise())
            for _ in range(often(12)):
                trial.send(path, chance.mutated(chance.valid(method.input_type).SerializeToString()))
        trial.assert_nothing_changed()

    assert_tried(trial, often(18) * rounds)


@OFTEN
def test_fields_of_any_value_are_refused_by_name_or_obeyed(trial: Trial, chance: Chance, rounds: int) -> None:
    """Valid requests, valid ones with one field of any value, and requests of random fields."""

    for path, method in METHODS.items():
        for _ in range(rounds):
            for _ in range(5):
                trial.send(path, chance.wire(chance.valid(method.input_type)))
            for _ in range(often(15)):
                trial.send(path, chance.wire(chance.spoilt(method.input_type)))
            for _ in range(often(5)):
                trial.send(path, chance.wire(chance.odd(method.input_type)))
        # By chance a method with few fields may have had valid values only.
        for _ in range(50 if method.input_type.fields else 0):
            if not trial.refused[path]:
                trial.send(path, chance.wire(chance.odd(method.input_type)))
        trial.assert_nothing_changed()

    assert_tried(trial, (5 + often(15) + often(5)) * rounds)
    assert [path for path in METHODS if trial.decided[path] < often(3) * rounds] == []


@pytest.fixture
def confined(trial: Trial, app: App, guarded: Settings, issuer: Issuer) -> Iterator[Trial]:
    """Return the same books as a caller sees them that is confined to the wallets of one owner."""
    token = issuer.token(" ".join(Scope), owner="o-1")
    with (
        serving(app, guarded, authentication(guarded)) as port,
        Recording(f"127.0.0.1:{port}", metadata=bearer(token)) as recording,
    ):
        yield Trial(recording, trial.owner, trial.seed, frozenset({"PERMISSION_MISSING"}))


@OFTEN
def test_a_caller_with_one_owner_is_answered_as_well(confined: Trial, chance: Chance, rounds: int) -> None:
    """What its lists leave out, and what it is refused, does not depend on the request."""

    for path, method in METHODS.items():
        for _ in range(rounds):
            for _ in range(4):
                confined.send(path, chance.wire(chance.valid(method.input_type)))
            for _ in range(often(6)):
                confined.send(path, chance.wire(chance.spoilt(method.input_type)))
        confined.assert_nothing_changed()

    assert_tried(confined, (4 + often(6)) * rounds)


def first_page(trial: Trial, chance: Chance, path: str) -> Any:  # noqa: ANN401  # any list request
    """Return a request for a list of which there is a second page, with its token."""
    for _ in range(100):
        request = chance.valid(LISTS[path].input_type)
        request.page_size = 1
        answer = trial.send(path, request.SerializeToString())
        if answer.code == "OK":
            response: Any = message_of(LISTS[path].output_type).FromString(answer.body)
            if response.next_page_token:
                request.page_token = response.next_page_token
                return request
    raise AssertionError(path)


def otherwise(request: Any) -> Iterator[Any]:  # noqa: ANN401  # any list request
    """Yield the same list's request with other arguments, but for the size of a page."""
    for one in request.DESCRIPTOR.fields:
        if one.name in {"page_size", "page_token"}:
            continue
        other = type(request)()
        other.CopyFrom(request)
        match one.name:
            case "filter":
                other.filter += " "
            case "webhook":
                other.webhook = other.webhook[:-1] + ("0" if other.webhook[-1] != "0" else "1")
            case "wallet":
                other.wallet = next(name for name in ("wallets/alice", "wallets/bob") if name != request.wallet)
            case _:
                getattr(other, one.name).seconds += 1
        yield other


@OFTEN
def test_a_page_token_is_good_for_its_own_list_and_nothing_else_is_one(
    trial: Trial, chance: Chance, rounds: int
) -> None:
    """Mutated tokens, those of other lists or of other arguments, and garbage: PAGE_TOKEN_INVALID, or the same page."""

    pages = {path: first_page(trial, chance, path) for path in LISTS}
    alphabet = [*"AZaz09-_.=", "\x00", "é", "💥", "..", " "]
    message: Counter[str] = Counter()

    for path, request in pages.items():
        real = trial.send(path, request.SerializeToString())
        assert real.code == "OK"
        forged = [chance.mutated_text(request.page_token, alphabet) for _ in range(24 * rounds)]
        forged += [chance.text() for _ in range(12 * rounds)]
        forged += [other.page_token for other in pages.values() if other is not request]
        for token in set(forged) - {"", request.page_token}:
            other = type(request)()
            other.CopyFrom(request)
            other.page_token = token.replace("~not-utf8~", "")
            if not other.page_token:
                continue
            answer = trial.send(path, other.SerializeToString())
            too_long = len(token) > 2048
            assert answer.reason == ("INVALID_FIELDS" if too_long else "PAGE_TOKEN_INVALID") or answer == real, token
            message[path] += answer.code != "OK"
        for other in otherwise(request):
            assert trial.send(path, other.SerializeToString()).reason == "PAGE_TOKEN_INVALID", other

    trial.assert_nothing_changed()
    assert min(message[path] for path in LISTS) > 20 * rounds


NAMES = (
    *("state", "type", "owner", "currency_code", "display_name", "labels.tier", "labels.region", "wallet", "amount"),
    *("create_time", "execute_time", "expire_time", "start_time", "end_time", "external_reference", "labels.kind"),
    *("balance", "labels", "labels.", "name", "nothing", "wallet.name"),
)
# Of each list some of these are filters.
FINE = (
    *('create_time >= "2000-01-01T00:00:00Z"', "state = SCHEDULED", "state != CAPTURED", "type = TRANSFER"),
    *("type != DEPOSIT", "state != DEAD", "state = DISABLED", 'owner = "o-1"', 'currency_code = "USD"', "amount > 0"),
)
OPS = ("=", "!=", "<", "<=", ">", ">=")
VALUES = (
    *("ACTIVE", "STATE_SCHEDULED", "TRANSFER", "CAPTURED", '"o-1"', '"USD"', '"wallets/alice"', "alice", "gold", '""'),
    *("0", "-1", str(2**63 - 1), str(-(2**63)), str(2**63), "1e3", '"a\\"b\\\\"', '"شمال"', '"%"', '"_"', "''", "*"),
    *('"2026-01-01T00:00:00Z"', "2099-01-01T00:00:00.123456Z", '"0001-01-01T00:00:00Z"', "9999-12-31T23:59:59Z"),
    *('"0001-01-01T00:00:00+14:00"', '"2026-02-30T00:00:00Z"', "2026-01-01", '"now()"', '"💥"', '"x"'),
)
ALPHABET = (
    *NAMES,
    *OPS,
    *VALUES,
    "AND",
    " AND ",
    "OR",
    "NOT",
    "(",
    ")",
    '"',
    "\\",
    " ",
    "\t",
    ".",
    ":",
    "\x00",
    "é",
    "🙂",
)


def a_filter(chance: Chance) -> str:
    """Return comparisons of any field with any value."""
    count: Sequence[int] = [1, 1, 1, 2, 2, 3, 10, 11]
    return " AND ".join(
        f"{chance.among(NAMES)} {chance.among(OPS)} {chance.among(VALUES)}" for _ in range(chance.among(count))
    )


@OFTEN
def test_a_filter_is_obeyed_or_refused_where_it_is_wrong(trial: Trial, chance: Chance, rounds: int) -> None:
    """Comparisons of any field with any value, those with pieces changed, and pieces in any order."""

    message: Counter[tuple[str, str]] = Counter()

    def ask(path: str, method: MethodDescriptor, text: str) -> None:
        request: Message = message_of(method.input_type)(**list_of(method, chance), filter=text)
        answer = trial.send(path, request.SerializeToString())
        message[path, answer.reason] += 1
        if answer.reason == "FILTER_INVALID":
            position, token = int(answer.metadata["position"]), answer.metadata["token"]
            assert text.startswith(token, position), (text, answer.metadata)
            assert (token == "") == (position == len(text)), (text, answer.metadata)
        else:
            assert answer.code == "OK" or len(text) > 1024 or any(map(is_control, text)), (text, answer)

    for path, method in FILTERED.items():
        for text in FINE:
            ask(path, method, text)
        for _ in range(rounds):
            for name in NAMES:
                for op in ("=", "<") * 3:
                    ask(path, method, f"{name} {op} {chance.among(VALUES)}")
            for _ in range(20):
                ask(path, method, a_filter(chance))
                ask(path, method, chance.mutated_text(a_filter(chance), ALPHABET))
                ask(path, method, "".join(chance.among(ALPHABET) for _ in range(chance.among([1, 3, 9, 30, 300]))))

    trial.assert_nothing_changed()
    assert [path for path in FILTERED if message[path, "FILTER_INVALID"] < 30 * rounds] == []
    assert [path for path in FILTERED if message[path, ""] < 2] == []


def list_of(method: MethodDescriptor, chance: Chance) -> dict[str, str]:
    """Return the wallet or the webhook that a list is of, where it has to be of one."""
    required = {"ListTransactions": {"wallet": "wallets/alice"}, "ListDeliveries": {"webhook": chance.webhook}}
    return required.get(method.name, {})
