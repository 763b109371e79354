"""Changes by the console: asked for, confirmed, done once, and shown for what they are."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest

from scheduler.jobs import pay_due_withdrawals
from tests.support.callers import balance, everything, open_funded, usd
from tests.support.console import Visitor, hidden, words
from tests.support.rows import rewrite
from tests.support.scheduled import CollectingBank
from wallet_client import AsyncWalletClient, OutcomeUnknown, WalletClient
from wallet_console.app import PAGES
from wallet_core.usecases.app import App

ALICE = "wallets/alice"
FREEZE = "/wallets/alice/freeze"


@pytest.fixture
def doubtful(client: WalletClient, app: App, owner: psycopg.Connection, stub: CollectingBank) -> str:
    """Return the page of a payout of 30.00 that has been in doubt for an hour."""
    stub.order("reset", times=1)
    open_funded(client, alice=10_000)
    name = client.schedule_withdrawal(ALICE, usd(3_000), bank_account="DE89").withdrawal.name
    pay_due_withdrawals.run_once(app)
    owner.execute("UPDATE bank_attempts SET in_flight_until = start_time")
    rewrite(owner, "UPDATE withdrawals SET update_time = update_time - interval '1 hour'")
    return f"/payouts/{name.rpartition('/')[2]}"


def test_a_form_that_this_session_did_not_make_changes_nothing(
    console: Visitor, other: Visitor, client: WalletClient, owner: psycopg.Connection
) -> None:
    """Every address that takes a form refuses one without the session's own secret, or with another's."""

    client.create_wallet("alice", "USD")
    stranger = hidden(other.get(FREEZE))["csrf"]
    before = everything(owner)
    routes = [route.path for page in PAGES for route in page.ROUTES if "POST" in route.methods]
    assert len(routes) > 20

    for route in routes:
        for csrf in ("", stranger, "ä"):
            answer = console.post(re.sub(r"\{.*?\}", "1", route), {"csrf": csrf, "step": "confirmed"})
            assert answer.status_code == 403, (route, csrf)
            assert "Nothing was done" in words(answer)

    assert everything(owner) == before


def test_no_address_changes_anything_by_get(console: Visitor) -> None:
    """An address that takes a form takes it by POST alone."""

    assert {method for page in PAGES for route in page.ROUTES for method in route.methods} == {"GET", "HEAD", "POST"}
    assert console.http.get("/logout").status_code == 405


def test_a_change_is_done_once_however_often_it_is_sent(console: Visitor, client: WalletClient) -> None:
    """A double click and a reload have the same request id; going on asks for a new one."""

    open_funded(client, alice=10_000)
    asked = console.post("/wallets/alice/pay-out", console.fill(console.get("/wallets/alice/pay-out"), amount="12.50"))
    assert "12.50 USD" in words(asked)
    assert "Do it?" in words(asked)
    assert list(client.list_withdrawals()) == []

    form = console.fill(asked, step="confirmed")
    pages = [console.post("/wallets/alice/pay-out", form) for _ in range(3)]

    (made,) = client.list_withdrawals()
    assert {page.url.path for page in pages} == {f"/payouts/{made.name.rpartition('/')[2]}"}
    assert made.amount == usd(1_250).message()
    assert hidden(console.get("/wallets/alice/pay-out"))["request_id"] != form["request_id"]


def test_a_wallet_is_frozen_and_unfrozen(console: Visitor, client: WalletClient) -> None:
    """The page then says so, and offers the way back."""

    client.create_wallet("alice", "USD")

    frozen = console.act(FREEZE)

    assert "Done. The service has confirmed it." in words(frozen)
    assert "Frozen" in words(frozen)
    assert "Active" in words(console.act("/wallets/alice/unfreeze"))


def test_what_is_refused_says_why_and_keeps_what_was_typed(console: Visitor, client: WalletClient) -> None:
    """With a new request id, because a refusal is final under its own."""

    open_funded(client, alice=100)
    first = console.get("/wallets/alice/limit")

    unreadable = console.post("/wallets/alice/limit", console.fill(first, limit="12.345", step="check"))
    refused = console.post("/wallets/alice/limit", console.fill(first, limit="1000000000000000000", step="check"))

    assert unreadable.status_code == 400
    assert "more decimals than its currency" in words(unreadable)
    assert 'value="12.345"' in unreadable.text
    assert "Nothing was done." in words(refused)
    assert hidden(unreadable)["request_id"] == hidden(first)["request_id"]


def test_of_two_operators_the_second_sees_that_the_first_was_faster(
    console: Visitor, other: Visitor, doubtful: str
) -> None:
    """Both had confirmed; one decision counts, and the other operator sees why."""

    path = f"{doubtful}/resolve"
    asked = [
        (one, one.post(path, one.fill(one.get(path), resolution=resolution, reason="asked the bank", step="check")))
        for one, resolution in ((console, "EXECUTED"), (other, "NOT_EXECUTED"))
    ]
    first, second = [one.post(path, one.fill(page, step="confirmed")) for one, page in asked]

    assert "Succeeded" in words(first)
    assert second.status_code == 409
    assert "Nothing was done." in words(second)


def test_a_payout_in_doubt_is_found_and_settled_by_hand(console: Visitor, doubtful: str) -> None:
    """The overview leads to it; the page says why it is in doubt, what to ask, and who settled it for which reason."""

    assert "Needs a person: 1" in words(console.get("/"))
    assert "1 in doubt" in words(console.get("/"))
    case = console.get("/attention")
    assert "Ask the bank whether it executed the payment" in words(case)
    assert f'href="{doubtful}/resolve?resolution=EXECUTED"' in case.text
    page = console.get(doubtful)
    assert "The bank may or may not have executed it" in words(page)
    assert "Key at the bank" not in words(page)
    assert f"wd-{UUID(doubtful.rpartition('/')[2])}" in words(page)

    settled = console.act(
        f"{doubtful}/resolve", resolution="EXECUTED", reason="Asked by phone", evidence="Frau Meyer: <executed>"
    )

    assert "Succeeded" in words(settled)
    assert "Asked by phone" in words(settled)
    assert "Frau Meyer: <executed>" in words(settled)
    assert "Nothing needs a person" in words(console.get("/attention"))


def test_a_decision_needs_a_reason(console: Visitor, doubtful: str) -> None:
    """Without one nothing is asked of the service."""

    path = f"{doubtful}/resolve"
    page = console.post(path, console.fill(console.get(path), resolution="EXECUTED", reason="  ", step="check"))

    assert page.status_code == 400
    assert "Give a reason." in words(page)


@dataclass
class Lost:
    """A service whose answers are lost from now on, for some time."""

    answers: int
    ids: list[str]

    async def freeze(self, client: AsyncWalletClient, name: str, **options: Any) -> object:  # noqa: ANN401  # of the call
        """Freeze the wallet; lose the answer."""
        self.ids.append(options["request_id"])
        done = await _FREEZE(client, name, **options)
        if options["validate_only"] or len(self.ids) > self.answers:
            return done
        lost = grpc.StatusCode.UNAVAILABLE
        raise OutcomeUnknown(code=lost, reason="", message="the connection was lost", request_id=self.ids[-1])


_FREEZE = AsyncWalletClient.freeze_wallet


def test_an_unknown_outcome_is_shown_as_such_and_asked_again_under_the_same_id(
    console: Visitor, client: WalletClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is lost after the change was made; to ask again brings it, and changes nothing twice."""

    client.create_wallet("alice", "USD")
    lost = Lost(2, [])

    async def freeze_and_lose(client: AsyncWalletClient, name: str, **options: Any) -> object:  # noqa: ANN401  # of the call
        return await lost.freeze(client, name, **options)

    asked = console.post(FREEZE, console.fill(console.get(FREEZE), step="check"))
    monkeypatch.setattr(AsyncWalletClient, "freeze_wallet", freeze_and_lose)

    unknown = [console.post(FREEZE, console.fill(asked, step="confirmed"))]
    unknown.append(console.post(FREEZE, console.fill(unknown[0], step="confirmed")))
    known = console.post(FREEZE, console.fill(unknown[1], step="confirmed"))

    assert [page.status_code for page in unknown] == [504, 504]
    assert "The outcome is unknown." in words(unknown[0])
    assert "Frozen" in words(known)
    assert len(lost.ids) == 3
    assert len(set(lost.ids)) == 1


def test_a_part_of_a_transfer_is_reversed(console: Visitor, client: WalletClient) -> None:
    """By a transaction that names the first."""

    open_funded(client, alice=10_000)
    client.create_wallet("bob", "USD")
    paid = client.transfer(ALICE, "wallets/bob", usd(1_000)).transaction.name

    page = console.act(f"/{paid}/reverse", amount="4.00", description="wrong size")

    assert "Reversal" in words(page)
    assert (balance(client, "alice"), balance(client, "bob")) == (9_400, 600)
