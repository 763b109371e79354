"""Lists: pages without gaps, filters, and tokens that fit one list only."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.callers import open_funded, usd
from tests.support.wire import Answer, Wire
from wallet_grpc.client import WalletClient

WALLETS = "WalletService/ListWallets"
TRANSACTIONS = "TransactionService/ListTransactions"
WITHDRAWALS = "ScheduleService/ListWithdrawals"

REQUESTS: dict[str, Callable[..., Any]] = {
    WALLETS: wallet_pb.ListWalletsRequest,
    TRANSACTIONS: partial(transaction_pb.ListTransactionsRequest, wallet="wallets/alice"),
    WITHDRAWALS: schedule_pb.ListWithdrawalsRequest,
}
RESPONSES: dict[str, Any] = {
    WALLETS: wallet_pb.ListWalletsResponse,
    TRANSACTIONS: transaction_pb.ListTransactionsResponse,
    WITHDRAWALS: schedule_pb.ListWithdrawalsResponse,
}
LISTS = pytest.mark.parametrize("method", [WALLETS, TRANSACTIONS, WITHDRAWALS])


@pytest.fixture
def wire(server: str) -> Iterator[Wire]:
    """Return a bare channel to the server."""
    with Wire(server) as wire:
        yield wire


@pytest.fixture
def filled(client: WalletClient) -> WalletClient:
    """Return a client of books with five of everything."""
    open_funded(client, alice=100, bob=100, carol=0, dora=0, emil=0)
    for number in range(1, 5):
        client.transfer("wallets/alice", "wallets/bob", usd(number))
    for number in range(1, 6):
        client.schedule_withdrawal("wallets/alice", usd(number))
    return client


def ask(wire: Wire, method: str, **fields: object) -> Answer:
    """Ask for a page."""
    return wire.call(method, REQUESTS[method](**fields))


def page(wire: Wire, method: str, **fields: object) -> tuple[list[str], str]:
    """Return the names on a page, and the token of the next one."""
    answer = ask(wire, method, **fields)
    response = RESPONSES[method].FromString(answer.body)
    assert (answer.code, answer.message) == ("OK", "")
    (rows,) = (value for field, value in response.ListFields() if field.name != "next_page_token")
    return [row.name for row in rows], response.next_page_token


@LISTS
def test_pages_of_any_size_are_the_same_list(filled: WalletClient, wire: Wire, method: str) -> None:
    """S8's shape: no gap, nothing twice, no empty last page, whatever the page size does from page to page."""

    del filled
    whole, end = page(wire, method)
    paged: list[str] = []
    token = ""
    for size in itertools.cycle([2, 1]):
        names, token = page(wire, method, page_size=size, page_token=token)
        paged += names
        if not token:
            break

    assert (len(whole), end) == (5, "")
    assert paged == whole
    assert page(wire, method, page_size=5) == (whole, "")


def test_a_list_that_grows_while_it_is_read_has_no_gap_and_nothing_twice(client: WalletClient, wire: Wire) -> None:
    """S8: 250 withdrawals in pages of 100, more scheduled in between: newest first, stable."""

    open_funded(client, alice=1)
    made = [client.schedule_withdrawal("wallets/alice", usd(1)).withdrawal.name for _ in range(250)]
    pages: list[list[str]] = []
    token = ""
    while not pages or token:
        names, token = page(wire, WITHDRAWALS, wallet="wallets/alice", page_size=100, page_token=token)
        pages.append(names)
        for _ in range(3):
            client.schedule_withdrawal("wallets/alice", usd(2))

    assert [len(names) for names in pages] == [100, 100, 50]
    assert list(itertools.chain(*pages)) == made[::-1]


@LISTS
def test_a_negative_page_size_is_refused(wire: Wire, method: str) -> None:
    """By name, before the wallet is looked for."""

    for size in (-1, -(2**31)):
        answer = ask(wire, method, page_size=size)
        assert (answer.code, answer.reason, answer.violations) == ("INVALID_ARGUMENT", "INVALID_FIELDS", ("page_size",))


def test_a_page_has_fifty_rows_by_default_and_a_thousand_at_the_most(
    client: WalletClient, wire: Wire, owner: psycopg.Connection
) -> None:
    """0 means 50; 5000 means 1000."""

    open_funded(client, alice=0)
    owner.execute(
        """
        INSERT INTO withdrawals (id, wallet, amount, bank_account, description, execute_time, create_time, update_time,
            state, next_attempt_time, fence, asks, bank_reference, attention)
        SELECT gen_random_uuid(), key, 1, '', '', now(), now(), now(), 'SCHEDULED', now(), 0, 0, '', ''
        FROM wallets, generate_series(1, 1001)
        WHERE wallets.id = 'alice'
        """
    )

    sizes = {size: len(page(wire, WITHDRAWALS, page_size=size)[0]) for size in (0, 999, 1000, 5000, 2**31 - 1)}

    assert sizes == {0: 50, 999: 999, 1000: 1000, 5000: 1000, 2**31 - 1: 1000}
    first, token = page(wire, WITHDRAWALS, page_size=5000)
    last, end = page(wire, WITHDRAWALS, page_size=5000, page_token=token)
    assert (len(set(first + last)), end) == (1001, "")


@LISTS
def test_a_token_that_is_not_ours_is_refused(filled: WalletClient, wire: Wire, method: str) -> None:
    """Tampered with, cut, or made up."""

    del filled
    _, token = page(wire, method, page_size=2)
    body, _, signature = token.rpartition(".")
    other = "A" if token[0] != "A" else "B"
    spoilt = [other + token[1:], "x" + token, token + "x", body, f".{signature}", f"{body}.", f"{signature}.{body}"]
    made_up = ["nonsense", ".", "..", "é.ü", "\x00", " ", "x" * 2048, "[1].x"]

    answers = {text: ask(wire, method, page_size=2, page_token=text) for text in spoilt + made_up}

    told = {text: (answer.code, answer.reason) for text, answer in answers.items()}
    assert told == dict.fromkeys(answers, ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"))


def test_a_token_of_other_arguments_is_refused(filled: WalletClient, wire: Wire) -> None:
    """All but size and token must be as they were."""

    del filled
    scheduled, transfer = schedule_pb.Withdrawal.STATE_SCHEDULED, transaction_pb.Transaction.TYPE_TRANSFER
    cases: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (WALLETS, {}, {"currency_code": "USD"}),
        (WALLETS, {"currency_code": "USD"}, {"currency_code": "EUR"}),
        (WALLETS, {"state": 1}, {}),
        (TRANSACTIONS, {}, {"wallet": "wallets/bob"}),
        (TRANSACTIONS, {}, {"type": transfer}),
        (WITHDRAWALS, {}, {"wallet": "wallets/alice"}),
        (WITHDRAWALS, {"wallet": "wallets/alice"}, {"wallet": "wallets/bob"}),
        (WITHDRAWALS, {"state": scheduled}, {}),
    ]

    for method, given, used in cases:
        _, token = page(wire, method, page_size=1, **given)
        answer = ask(wire, method, page_size=1, page_token=token, **used)
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), (method, given, used)


def test_a_token_of_another_list_is_refused(filled: WalletClient, wire: Wire) -> None:
    """Also where the arguments look alike."""

    del filled
    for given, used in itertools.permutations(REQUESTS, 2):
        _, token = page(wire, given, page_size=1)
        assert ask(wire, used, page_token=token).reason == "PAGE_TOKEN_INVALID", (given, used)


def test_transactions_are_narrowed_to_a_type(filled: WalletClient) -> None:
    """S7: by type, for the wallet asked for only."""

    types = transaction_pb.Transaction
    listed = {
        type_: [t.type for t in filled.list_transactions("wallets/alice", type_=type_, page_size=3)]
        for type_ in (types.TYPE_DEPOSIT, types.TYPE_TRANSFER, types.TYPE_WITHDRAWAL)
    }

    assert listed == {
        types.TYPE_DEPOSIT: [types.TYPE_DEPOSIT],
        types.TYPE_TRANSFER: [types.TYPE_TRANSFER] * 4,
        types.TYPE_WITHDRAWAL: [],
    }
    assert list(filled.list_transactions("wallets/carol")) == []


def test_withdrawals_are_narrowed_to_a_state_and_a_wallet(filled: WalletClient) -> None:
    """S7: by state, by both."""

    states = schedule_pb.Withdrawal
    newest = next(filled.list_withdrawals()).name
    filled.cancel_withdrawal(newest)

    cancelled = [w.name for w in filled.list_withdrawals(state=states.STATE_CANCELLED)]
    scheduled = list(filled.list_withdrawals("wallets/alice", state=states.STATE_SCHEDULED))
    assert (cancelled, len(scheduled)) == ([newest], 4)
    assert list(filled.list_withdrawals("wallets/bob")) == []


def test_a_filter_that_does_not_exist_is_refused(client: WalletClient, wire: Wire) -> None:
    """S7: a bad value is never an empty page."""

    open_funded(client, alice=0)
    cases: list[tuple[str, dict[str, Any]]] = [
        (WALLETS, {"state": 99}),
        (WALLETS, {"state": -1}),
        (WALLETS, {"currency_code": "usd"}),
        (TRANSACTIONS, {"type": 99}),
        (TRANSACTIONS, {"wallet": ""}),
        (WITHDRAWALS, {"state": 99}),
        (WITHDRAWALS, {"wallet": "alice"}),
    ]

    for method, fields in cases:
        answer = ask(wire, method, **fields)
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS"), (method, fields)
        assert answer.violations == tuple(fields)


def test_wallets_are_listed_newest_first_by_state_and_currency(
    filled: WalletClient, wire: Wire, owner: psycopg.Connection
) -> None:
    """System wallets are not among them."""

    filled.create_wallet("eva", "EUR")
    owner.execute("UPDATE wallets SET state = 'FROZEN' WHERE id = 'carol'")

    assert [w.name for w in filled.list_wallets(page_size=2)] == [
        f"wallets/{name}" for name in ("eva", "emil", "dora", "carol", "bob", "alice")
    ]
    assert [w.name for w in filled.list_wallets(currency_code="EUR")] == ["wallets/eva"]
    assert page(wire, WALLETS, state=wallet_pb.Wallet.STATE_FROZEN) == (["wallets/carol"], "")
