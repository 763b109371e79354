"""Callers in Go, TypeScript and Java, with stubs made of our protos, against a real server with TLS and tokens.

Each caller does the same and prints what it received; what is expected is here. Then each uses two servers, of
which one is restarted or dies. All of this is one module, so that each caller is built once a run.
"""

from collections.abc import Collection
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.interop.clients import CLIENTS, SERVICE_CONFIG, Seen, build, failing_over
from tests.interop.conftest import HISTORY, Service, token
from tests.support.callers import balance, open_funded
from tests.support.database import Database
from tests.support.pair import HOSTS, NAME, running_pair
from wallet_client import Tls, WalletClient
from walletctl.local.waiting import wait_until

pytestmark = pytest.mark.timeout(600)

# One more than what a 64-bit float can distinguish from its neighbours.
LARGE = 2**53 + 1
DOMAIN = "wallet.example.com"


def test_the_main_calls_behave_as_documented(seen: Seen) -> None:
    """Deposit, transfer, hold and capture, a withdrawal scheduled and cancelled: and what is in the wallets then."""

    assert seen["calls"] == {
        "deposited": str(LARGE),
        "transferType": "TYPE_TRANSFER",
        "heldFrom": str(LARGE - 1005 - 500),
        "hold": "STATE_CAPTURED",
        "captured": "300",
        "scheduled": "STATE_SCHEDULED",
        "reserved": "700",
        "cancelled": "STATE_CANCELLED",
        "alice": str(LARGE - 1005 - 300),
        "bob": "1305",
        "bobAvailable": "1305",
    }


def test_a_refusal_is_read_with_its_reason_and_metadata(language: str, seen: Seen) -> None:
    """From the status details, by the language's own generated types."""

    assert seen["refusals"]["insufficientFunds"] == refusal(
        "FAILED_PRECONDITION",
        "INSUFFICIENT_FUNDS",
        "NOT_DONE",
        wallet=f"wallets/{language}-bob",
        currencyCode="USD",
        available="1305",
        required=str(LARGE),
    )


def test_fields_that_are_invalid_are_named(seen: Seen) -> None:
    """All of them at once."""

    invalid = {**seen["refusals"]["invalidFields"]}
    assert sorted(invalid.pop("fields")) == ["amount", "request_id"]
    assert {**invalid, "fields": []} == refusal("INVALID_ARGUMENT", "INVALID_FIELDS")


def test_a_caller_without_a_token_gets_credentials_missing(seen: Seen) -> None:
    """By a reason, like any other refusal."""

    assert seen["refusals"]["noToken"] == refusal("UNAUTHENTICATED", "CREDENTIALS_INVALID")


def test_a_repeat_moves_money_once(seen: Seen) -> None:
    """The same transaction comes back, marked as a repeat."""

    replay = seen["replay"]
    assert replay["names"][0] == replay["names"][1]
    assert replay["replayed"] == [False, True]
    assert replay["balances"] == ["1330", "1330"]


def test_an_id_that_was_used_for_another_amount_is_refused(seen: Seen) -> None:
    """It names the first use of the id."""

    replay = seen["replay"]
    assert replay["reused"] == refusal(
        "ALREADY_EXISTS",
        "REQUEST_ID_REUSED",
        requestId=replay["requestId"],
        method="Transfer",
        resourceName=replay["names"][0],
    )


def test_pages_show_every_transaction_once_and_in_order(seen: Seen) -> None:
    """Newest first, three at a time."""

    made, pages = seen["pages"]["made"], seen["pages"]["pages"]
    assert len(set(made)) == 10
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert [name for page in pages for name in page] == list(reversed(made))


def test_an_export_is_followed_to_its_end(seen: Seen) -> None:
    """A line for each entry, and the header."""

    assert seen["stream"]["lines"] == HISTORY + 1


def test_an_export_that_is_cancelled_midway_ends_for_both(language: str, seen: Seen, service: Service) -> None:
    """The caller is answered that it was cancelled and continues on the same connection; so is the server."""

    assert (seen["stream"]["cancelled"], seen["stream"]["after"]) == (number_of("CANCELLED"), "STATE_ACTIVE")
    assert wait_until(lambda: len(service.codes(language, "TransactionService/ExportStatement")) == 2, timeout_s=30)
    assert service.codes(language, "TransactionService/ExportStatement") == ["OK", "CANCELLED"]


def test_events_are_watched_and_gone_on_with_after_any_of_them(seen: Seen) -> None:
    """All transactions of a wallet in their order; with a token the rest of them; the caller ends it."""

    watch = seen["watch"]
    assert watch["received"] == watch["made"] == seen["pages"]["made"]
    assert watch["resumed"] == watch["made"][3:]
    assert watch["cancelled"] == number_of("CANCELLED")


def test_our_own_client_finds_what_the_other_left(language: str, seen: Seen, service: Service) -> None:
    """The same balances, and books that are right."""

    assert seen.keys() == {"calls", "refusals", "replay", "pages", "stream", "watch"}
    with WalletClient(service.target, tls=Tls(ca=service.ca.read_bytes()), token=token("python")) as client:
        left = {name: client.get_wallet(f"wallets/{language}-{name}").balance for name in ("alice", "bob")}

    given = 1005 + 300 + 25 + sum(range(1, 7))
    assert {name: money.minor_units for name, money in left.items()} == {"alice": LARGE - given, "bob": given}
    assert service.database.broken_rules() == []


# A channel of grpc-js may never connect again after a server was killed (grpc-node issue 2785, open in 1.14.7).
OUTLIVE_KILLS = ("go", "java")


def test_servers_that_are_restarted_and_killed_in_turn_fail_no_call(own_database: Database, tmp_path: Path) -> None:
    """By the service config and the name in the certificate alone; every transfer is in the ledger once."""

    for language in CLIENTS:
        build(language)
    with running_pair(own_database.url, tmp_path) as pair, WalletClient(pair.target, tls=pair.tls) as client:
        for language in CLIENTS:
            open_funded(client, **{f"{language}-alice": 1_000_000, f"{language}-bob": 0})
        (tmp_path / "ca.pem").write_bytes(pair.authority.cert_pem.bytes())
        variables = {
            "WALLET_TARGET": pair.target,
            "WALLET_CA": str(tmp_path / "ca.pem"),
            "WALLET_SERVER_NAME": NAME,
            "WALLET_SERVICE_CONFIG": str(SERVICE_CONFIG),
            "WALLET_TOKEN": "none is asked for",
        }

        def calling(language: str) -> AbstractContextManager[Seen]:
            return failing_over(language, {**variables, "INTEROP_PREFIX": language})

        def until_paid(languages: Collection[str], more: int = 100) -> None:
            wanted = {language: balance(client, f"{language}-bob") + more for language in languages}
            for language, units in wanted.items():
                paid = partial(balance, client, f"{language}-bob")
                assert wait_until(lambda: paid() >= units, timeout_s=60), language  # noqa: B023  # called at once

        with ExitStack() as stack:
            seen = {language: stack.enter_context(calling(language)) for language in OUTLIVE_KILLS}
            with ExitStack() as others:
                seen |= {one: others.enter_context(calling(one)) for one in CLIENTS if one not in OUTLIVE_KILLS}
                until_paid(CLIENTS)
                assert wait_until(lambda: all(pair.calls(host) > 0 for host in HOSTS), timeout_s=60)
                for host in HOSTS:
                    pair.restart(host)
                    until_paid(CLIENTS)
            for host in HOSTS:
                pair.kill(host)
                until_paid(OUTLIVE_KILLS)
                pair.start(host)
        for language in CLIENTS:
            assert seen[language]["failover"] == {"done": balance(client, f"{language}-bob"), "failed": []}, language


def refusal(code: str, reason: str, outcome: str = "NOT_DONE_RETRY", **metadata: str) -> dict[str, Any]:
    """Return what a caller is to see of the refusal of a first attempt."""
    about = {"reason": reason, "domain": DOMAIN, "outcome": outcome, "metadata": metadata}
    return {"code": number_of(code), **about, "fields": [], "nothingDone": True}


def number_of(code: str) -> int:
    """Return a status code as it is on the wire: each language spells its name in another way."""
    number: int = grpc.StatusCode[code].value[0]
    return number
