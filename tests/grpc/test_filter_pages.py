"""A filter that matches little: a page reads one scan window, and the pages together find every match once."""

from collections.abc import Callable
from itertools import product

import psycopg
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb

from tests.support.api import Api, all_pages
from tests.support.long_history import write_history
from tests.support.rows import publish_rows
from wallet_core.storage.reads.pages import SCAN_WINDOW


def test_a_filter_that_fits_little_of_a_long_history_finds_all_of_it_once(api: Api, owner: psycopg.Connection) -> None:
    """Pages may be short or empty, their tokens continue; nothing is found twice, and the last token is empty."""

    count = 2 * SCAN_WINDOW + 101
    api.open_all("alice", "bob")
    write_history(owner, count)
    wanted: dict[str, Callable[[int], bool]] = {
        'labels.tier = "gold"': lambda n: n % 500 == 3,
        'labels.tier = "gold" AND external_reference = "ref-3" AND amount > 0': lambda n: n % 1000 == 3,
        "state = PARTIALLY_REVERSED": lambda n: n % 100 == 48,
        "type = REVERSAL AND amount > 1": lambda n: n % 100 == 99,
        'external_reference = "ref-1" AND execute_time < "2025-01-01T00:00:00.000002Z"': lambda n: n == 1,
        "amount > 1000000": lambda n: False,  # noqa: ARG005  # no number fits
    }

    for filter_, fits in wanted.items():
        for wallet, size in product(("wallets/alice", ""), (2, 1000)):
            request = transaction_pb.ListTransactionsRequest(wallet=wallet, filter=filter_, page_size=size)
            pages = all_pages(api, request)
            found = [int(one.name[-12:], 16) for page in pages for one in page.transactions]
            assert found == [n for n in range(count, 0, -1) if fits(n)], (filter_, size)
            assert all(len(page.transactions) <= size for page in pages)
            # A page reads one scan window, and no scan window is read again for each row in it.
            assert len(pages) <= len(found) / size + count / SCAN_WINDOW + 2, (filter_, size)


def test_other_lists_continue_after_a_scan_window_without_a_match_too(api: Api, owner: psycopg.Connection) -> None:
    """Among more rows than a page reads, all made at the same instant, the oldest and the newest are found."""

    api.open("alice")
    owner.execute(
        """
        INSERT INTO withdrawals (id, wallet, amount, bank_account, description, execute_time, create_time, update_time,
            state, next_attempt_time, fence, inquiries, bank_reference, attention)
        SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, key,
            CASE WHEN n IN (1, 2, %(count)s) THEN 7 ELSE 1 END, '', '', now(), now(), now(), 'SCHEDULED', now(), 0, 0,
            '', ''
        FROM wallets, generate_series(1, %(count)s) AS n
        WHERE wallets.id = 'alice'
        """,
        {"count": 2 * SCAN_WINDOW + 2},
    )
    publish_rows(owner)

    for wallet, size in product(("wallets/alice", ""), (1, 2, 1000)):
        request = schedule_pb.ListWithdrawalsRequest(wallet=wallet, filter="amount = 7", page_size=size)
        found = [one.name[-4:] for page in all_pages(api, request) for one in page.withdrawals]
        assert found == [f"{2 * SCAN_WINDOW + 2:04x}", "0002", "0001"], (wallet, size)
