"""Lists: pages without gaps, what S7 asks for, and tokens that fit one list only."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb
from wallet.v1 import commission_pb2
from wallet.v1 import commission_service_pb2 as commission_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from bank_stub.server import BankServer
from scheduler.jobs import pay_due_withdrawals
from tests.support.api import Api, all_pages, at_once, many_transfers
from tests.support.long_history import BEGAN, write_history
from tests.support.requests import money, stamp
from tests.support.rows import publish_rows, without_triggers
from tests.support.sample_ledger import LATER
from wallet_core.usecases.app import App

ALICE = "wallets/alice"

# By the name of the repeated field of the response.
LISTS: dict[str, Callable[..., Any]] = {
    "wallets": wallet_pb.ListWalletsRequest,
    "transactions": partial(transaction_pb.ListTransactionsRequest, wallet=ALICE),
    "withdrawals": schedule_pb.ListWithdrawalsRequest,
    "scheduled_deposits": schedule_pb.ListScheduledDepositsRequest,
    "holds": hold_pb.ListHoldsRequest,
    "rules": commission_pb.ListCommissionRulesRequest,
}
OF_A_WALLET = ("transactions", "withdrawals", "scheduled_deposits", "holds")


def make(api: Api, what: str, count: int) -> list[str]:
    """Make *count* of one kind; return their names."""
    if what == "transactions":
        made = api.ok(many_transfers("alice", "bob", count)).results
        return [one.transaction.name for one in made]
    amount = money(1)
    rule = commission_pb.CommissionRule(currency_code="EUR", payer=commission_pb2.COMMISSION_PAYER_SOURCE)
    wallet = wallet_pb.Wallet(currency_code="USD")
    requests: dict[str, Callable[..., Any]] = {
        "wallets": partial(wallet_pb.CreateWalletRequest, wallet=wallet),
        "withdrawals": partial(schedule_pb.ScheduleWithdrawalRequest, wallet=ALICE, amount=amount),
        "scheduled_deposits": partial(schedule_pb.ScheduleDepositRequest, wallet=ALICE, amount=amount),
        "holds": partial(hold_pb.PlaceHoldRequest, wallet=ALICE, amount=amount, expire_time=stamp(LATER)),
        "rules": partial(commission_pb.CreateCommissionRuleRequest, rule=rule),
    }
    asked = [partial(api.ok, requests[what](request_id=str(uuid4()))) for _ in range(count)]
    made = at_once(asked) if count > 5 else [one() for one in asked]
    return [getattr(one, what.removesuffix("s")).name for one in made]


@pytest.fixture
def filled(api: Api) -> Api:
    """Return a channel to books with five of everything."""
    api.open_all("alice", "bob")
    api.deposit("alice", 100)
    for what, count in {**dict.fromkeys(LISTS, 5), "wallets": 3, "transactions": 4}.items():
        make(api, what, count)
    return api


def page(api: Api, what: str, **fields: object) -> tuple[list[str], str]:
    """Return the names on a page, and the token of the next one."""
    response = api.ok(LISTS[what](**fields))
    return [row.name for row in getattr(response, what)], response.next_page_token


def test_pages_of_any_size_are_the_same_list(filled: Api) -> None:
    """S8's shape: no gap, nothing twice, no empty last page, whatever the page size does from page to page."""

    for what in LISTS:
        whole, end = page(filled, what)
        paged: list[str] = []
        token = ""
        for size in itertools.cycle([2, 1]):
            names, token = page(filled, what, page_size=size, page_token=token)
            paged += names
            if not token:
                break
        assert (len(whole), end) == (5, ""), what
        assert paged == whole, what
        assert page(filled, what, page_size=5) == (whole, "")


def test_a_list_that_grows_while_it_is_read_has_no_gap_and_nothing_twice(api: Api) -> None:
    """S8: 250 rows in pages of 100, more made in between, several at the same instant: newest first, none missed."""

    api.open_all("alice", "bob")
    api.deposit("alice", 10_000)
    for what, size in {**dict.fromkeys(LISTS, 10), "transactions": 100, "withdrawals": 100}.items():
        before = page(api, what, page_size=1000)[0]
        made = make(api, what, size * 5 // 2 - len(before))
        pages: list[Any] = []
        token = ""
        while not pages or token:
            pages.append(api.ok(LISTS[what](page_size=size, page_token=token)))
            token = pages[-1].next_page_token
            make(api, what, 3)

        rows = [row for page in pages for row in getattr(page, what)]
        times = [row.execute_time if what == "transactions" else row.create_time for row in rows]
        assert [len(getattr(page, what)) for page in pages] == [size, size, size // 2], what
        assert sorted(row.name for row in rows) == sorted([*before, *made]), what
        assert times == sorted(times, key=lambda time: time.ToNanoseconds(), reverse=True), what


def test_deposits_and_a_withdrawal_are_distinguished_by_state_and_type(api: Api, app: App, bank: BankServer) -> None:
    """S7: two deposits and one withdrawal, by state 1, by type 2, by both 1; a word that does not exist is refused."""

    del bank
    api.open("alice")
    api.deposit("alice", 30)
    second = api.deposit("alice", 40)
    scheduled = schedule_pb.ScheduleWithdrawalRequest(wallet=ALICE, amount=money(5), request_id=str(uuid4()))
    withdrawal = api.ok(scheduled).withdrawal.name
    pay_due_withdrawals.run_once(app)
    api.reverse(second, 10)

    def listed(filter_: str) -> list[int]:
        return [
            one.amount.minor_units
            for one in api.ok(transaction_pb.ListTransactionsRequest(wallet=ALICE, filter=filter_)).transactions
        ]

    assert listed("") == [10, 5, 40, 30]
    assert listed("state = PARTIALLY_REVERSED") == [40]
    assert listed("type = DEPOSIT") == [40, 30]
    assert listed("type = DEPOSIT AND state = POSTED") == [30]
    assert listed("type = WITHDRAWAL AND state = POSTED") == [5]
    assert listed("type = WITHDRAWAL AND type = DEPOSIT") == []
    assert [page(api, "withdrawals", filter=f"state = {state}")[0] for state in ("SUCCEEDED", "FAILED")] == [
        [withdrawal],
        [],
    ]
    for what, filter_ in (("transactions", "type = GIFT"), ("transactions", "state = 1"), ("withdrawals", "state = X")):
        answer = api.refused(LISTS[what](filter=filter_))
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "FILTER_INVALID"), filter_
        assert answer.metadata == {"position": str(filter_.index("= ") + 2), "token": filter_.partition("= ")[2]}


def test_a_page_size_is_fifty_by_default_a_thousand_at_the_most_and_never_negative(
    api: Api, owner: psycopg.Connection
) -> None:
    """0 means 50; 5000 means 1000; -1 is refused by name, before the wallet is looked for."""

    api.open_all("alice", "bob")
    write_history(owner, 1001)
    owner.execute(
        """
        INSERT INTO withdrawals (id, wallet, amount, bank_account, description, execute_time, create_time, update_time,
            state, next_attempt_time, fence, inquiries, bank_reference, attention)
        SELECT gen_random_uuid(), key, 1, '', '', now(), now(), now(), 'SCHEDULED', now(), 0, 0, '', ''
        FROM wallets, generate_series(1, 1001)
        WHERE wallets.id = 'alice'
        """
    )
    publish_rows(owner)

    wanted = {0: 50, 999: 999, 1000: 1000, 5000: 1000, 2**31 - 1: 1000}
    assert {size: len(page(api, "withdrawals", page_size=size)[0]) for size in wanted} == wanted
    for what in ("withdrawals", "transactions"):
        first, token = page(api, what, page_size=5000)
        last, end = page(api, what, page_size=5000, page_token=token)
        assert (len(set(first + last)), end) == (1001, ""), what
    for what, size in itertools.product(LISTS, (-1, -(2**31))):
        answer = api.refused(LISTS[what](page_size=size))
        assert (answer.code, answer.reason, answer.violations) == ("INVALID_ARGUMENT", "INVALID_FIELDS", ("page_size",))


@pytest.mark.parametrize("what", ["wallets", "transactions"])
def test_the_largest_page_of_the_widest_rows_can_be_read(api: Api, owner: psycopg.Connection, what: str) -> None:
    """A client that leaves gRPC's limit of 4 MiB as it is gets every page that it may ask for."""

    labels = Jsonb({f"l-{number:02}{'-' * 59}": "x" * 63 for number in range(32)})
    api.open_all("alice", "bob")
    write_history(owner, 1000, description="\U0001f4a5" * 256)
    owner.execute(
        """
        INSERT INTO wallets (key, id, role, currency, owner, display_name, state, balance, held, overdraft_limit,
            sequence, last_time, create_time)
        SELECT nextval('wallet_keys'), 'w-' || n, role, currency, owner, display_name, state, 0, 0, 0, 0, create_time,
            create_time
        FROM wallets, generate_series(1, 1000) AS n
        WHERE id = 'alice'
        """
    )
    owner.execute("UPDATE wallets SET labels = %s WHERE role = 'ORDINARY'", [labels])
    with without_triggers(owner):
        owner.execute("UPDATE transactions SET labels = %s", [labels])
    publish_rows(owner)

    pages = all_pages(api, LISTS[what](page_size=1000))

    rows = [row for page in pages for row in getattr(page, what)]
    assert len({row.name for row in rows}) == len(rows) == {"wallets": 1002, "transactions": 1000}[what]
    assert len(pages) <= 4
    assert dict(rows[-1].labels) == labels.obj


def test_a_token_that_is_not_ours_is_refused(filled: Api) -> None:
    """Tampered with, cut, or made up."""

    made_up = ["nonsense", ".", "..", "é.ü", "\x00", " ", "x" * 2048, "[1].x", "Wzld", "W10.", "bnVsbA.x"]
    for what, request in LISTS.items():
        _, token = page(filled, what, page_size=2)
        other = "A" if token[0] != "A" else "B"
        spoilt = [
            other + token[1:],
            "x" + token,
            token + "x",
            token[:-1],
            token[1:],
            token[:9],
            token + "=",
            token.swapcase(),
        ]
        spoilt += [f"{token[:5]}.{token[5:]}", f".{token}", token + "\n", "\u00e4" + token, "=" * 8, "!"]
        for text in spoilt + made_up:
            answer = filled.refused(request(page_size=2, page_token=text))
            assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), (what, text)
    too_long = filled.refused(wallet_pb.ListWalletsRequest(page_token="x" * 2049))
    assert (too_long.reason, too_long.violations) == ("INVALID_FIELDS", ("page_token",))


def test_a_token_of_other_arguments_is_refused(filled: Api) -> None:
    """All but size and token must be as they were, to the letter; nor does a token fit another list."""

    usd, blank, not_ = 'currency_code = "USD"', 'currency_code  = "USD"', 'currency_code != "EUR"'
    cases: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("wallets", {}, {"filter": usd}),
        ("wallets", {"filter": usd}, {"filter": not_}),
        ("wallets", {"filter": usd}, {"filter": blank}),
        ("wallets", {"filter": usd}, {}),
        ("transactions", {}, {"wallet": "wallets/bob"}),
        ("transactions", {}, {"filter": "type = TRANSFER"}),
        ("transactions", {"filter": "type = TRANSFER"}, {"wallet": "wallets/bob", "filter": "type = TRANSFER"}),
    ]
    for what in ("withdrawals", "scheduled_deposits", "holds"):
        cases += [
            (what, {}, {"wallet": ALICE}),
            (what, {"wallet": ALICE}, {"wallet": "wallets/bob"}),
            (what, {"filter": "amount > 0"}, {}),
            (what, {"filter": "amount > 0"}, {"wallet": ALICE, "filter": "amount > 0"}),
        ]

    for what, given, used in cases:
        _, token = page(filled, what, page_size=1, **given)
        assert page(filled, what, page_size=2, page_token=token, **given)[0], (what, given)
        answer = filled.refused(LISTS[what](page_size=1, page_token=token, **used))
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), (what, given, used)
    tokens = {what: page(filled, what, page_size=1)[1] for what in LISTS}
    for given_to, used_for in itertools.permutations(LISTS, 2):
        assert filled.refused(LISTS[used_for](page_token=tokens[given_to])).reason == "PAGE_TOKEN_INVALID"


def test_of_several_faults_the_first_documented_is_reported(api: Api) -> None:
    """Fields, then the filter, then the token, then the wallet."""

    nobody, bad, token = {"wallet": "wallets/nobody"}, {"filter": "x = 1"}, {"page_token": "x"}
    for what, request in LISTS.items():
        wallet = nobody if what in OF_A_WALLET else {}
        refused = [
            api.refused(request(page_size=-1, **bad, **token, **wallet)),
            api.refused(request(**bad, **token, **wallet)),
            api.refused(request(**token, **wallet)),
        ]
        assert [one.reason for one in refused] == ["INVALID_FIELDS", "FILTER_INVALID", "PAGE_TOKEN_INVALID"], what
        if wallet:
            answer = api.refused(request(**wallet))
            assert (answer.code, answer.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
            assert answer.metadata == {"resourceName": "wallets/nobody"}


def test_a_list_is_of_the_requested_wallet(filled: Api) -> None:
    """Others' are not in it; without a wallet all are; system wallets have histories, and are not among wallets."""

    filled.transfer("bob", "alice", 1)
    names = {what: page(filled, what)[0] for what in LISTS}

    for what in ("withdrawals", "scheduled_deposits", "holds"):
        assert page(filled, what, wallet=ALICE)[0] == names[what]
        assert page(filled, what, wallet="wallets/bob")[0] == []
    assert page(filled, "transactions", wallet="wallets/bob")[0] == names["transactions"][:5]
    outside = transaction_pb.ListTransactionsRequest(wallet="wallets/system:external:USD")
    assert [one.name for one in filled.ok(outside).transactions] == names["transactions"][-1:]
    assert not any("system" in name for name in names["wallets"])
    assert names["wallets"][-2:] == ["wallets/bob", "wallets/alice"]


def test_a_read_that_waits_for_a_table_too_long_gets_a_reason_of_reads(api: Api, owner: psycopg.Connection) -> None:
    """As while the database's owner changes it: TRANSACTION_CONFLICT is documented for calls that change something."""

    api.open("alice")
    reads = [
        wallet_pb.GetWalletRequest(name=ALICE),
        wallet_pb.ListWalletsRequest(),
        transaction_pb.GetStatementRequest(wallet=ALICE, start_time=stamp(BEGAN), end_time=stamp(LATER)),
    ]

    with owner.transaction():
        owner.execute("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
        refused = at_once([partial(api.refused, one) for one in reads])

    documented = {"SERVER_OVERLOADED", "DEADLINE_TOO_SHORT", "SERVER_DRAINING", "DATABASE_UNAVAILABLE", "INTERNAL"}
    assert {one.reason for one in refused} <= documented


def test_pages_continue_while_their_rows_change(filled: Api) -> None:
    """A row that no longer fits, or only now fits, the filter does not move the others."""

    names = page(filled, "withdrawals", filter="state = SCHEDULED", page_size=5)[0]
    first, token = page(filled, "withdrawals", filter="state = SCHEDULED", page_size=2)
    for name in (first[1], names[3]):
        filled.ok(schedule_pb.CancelWithdrawalRequest(name=name, request_id=str(uuid4())))
    pages = all_pages(
        filled, schedule_pb.ListWithdrawalsRequest(filter="state = SCHEDULED", page_size=2, page_token=token)
    )

    assert first == names[:2]
    assert [one.name for page in pages for one in page.withdrawals] == [names[2], names[4]]
