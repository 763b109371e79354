"""The console in a real browser: seen by axe in both languages and themes, used by hand and by keys alone."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from scheduler.jobs import pay_due_withdrawals, write_journal
from tests.support.browser import NARROW, WIDE, Stage, a_stage
from tests.support.callers import open_funded, usd
from tests.support.database import Cluster
from tests.support.payouts import Bank
from wallet_client import CallFailed, Payer
from walletctl.local.waiting import wait_until

pytestmark = pytest.mark.timeout(240)

LATER = datetime.now(UTC) + timedelta(days=1)  # noqa: TID251  # a time to come
ALICE = "wallets/alice"
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def stage(cluster: Cluster) -> Iterator[Stage]:
    """Return a service with one of everything, before a browser."""
    with a_stage(cluster, f"console_{uuid4().hex[:8]}") as stage:
        client = stage.client
        client.create_wallet("alice", "USD", owner="owner-1", display_name="Alice & sons", labels={"tier": "gold"})
        client.create_wallet("bob", "USD", owner="owner-2", display_name="باب")
        client.create_commission_rule("USD", Payer.SOURCE, rate_millionths=12_500)
        client.deposit(ALICE, usd(1_234_500), external_reference="INV-7", description="<b>")
        client.transfer(ALICE, "wallets/bob", usd(10_000))
        client.place_hold(ALICE, usd(500), LATER)
        client.schedule_withdrawal(ALICE, usd(700), execute_time=LATER, bank_account="DE1")
        client.schedule_deposit("wallets/bob", usd(800), execute_time=LATER, collect=True, bank_account="DE2")
        client.ping_webhook(client.create_webhook("https://shop.example/events").webhook.name)
        put_in_doubt(stage, 3)
        write_journal.run_once(stage.app)
        yield stage


@pytest.fixture(autouse=True)
def _quiet(stage: Stage) -> Iterator[None]:
    """No page reports an error, and none asks another machine for anything."""
    stage.complaints.clear()
    yield
    assert stage.complaints == []


def put_in_doubt(stage: Stage, count: int) -> None:
    """Let the bank answer nothing about some payouts, and wait until a person may settle them."""
    bank = Bank(stage.bank.url)
    bank.order("reset", times=count)
    for _ in range(count):
        stage.client.schedule_withdrawal(ALICE, usd(3_000), bank_account="DE89")
    assert wait_until(lambda: len(_cases(stage)) == count, timeout_s=30)


def _cases(stage: Stage) -> list[str]:
    """Return the payouts that a person may settle now."""
    pay_due_withdrawals.run_once(stage.app)
    found = []
    for case in stage.client.list_attention():
        with suppress(CallFailed):
            stage.client.resolve_withdrawal(case.resource_name, "EXECUTED", reason="r", validate_only=True)
            found.append(case.resource_name)
    return found


@pytest.fixture
def doubtful(stage: Stage) -> str:
    """Return the page of the payout that has been in doubt for longest."""
    return f"/payouts/{next(stage.client.list_attention()).resource_name.rpartition('/')[2]}"


def pages(stage: Stage, doubtful: str) -> list[str]:
    """Return an address of every kind of page."""
    client = stage.client
    last = {
        "transactions": next(client.list_transactions(ALICE)).name,
        "holds": next(client.list_holds()).name,
        "collections": next(client.list_scheduled_deposits()).name,
        "webhooks": next(client.list_webhooks()).name,
    }
    return [
        *("/", "/wallets", "/wallets/alice", "/wallets/alice/statement", "/transactions", "/payouts"),
        *(f"/{kind}/{name.rpartition('/')[2]}" for kind, name in last.items()),
        *(doubtful, f"{doubtful}/resolve?resolution=EXECUTED", "/attention"),
        *("/commission?source=alice&destination=bob&amount=5", "/events?from=start", "/webhooks", "/reconciliation"),
        *("/verify", "/search?q=INV-7", "/wallets/nobody", "/transactions?least=x"),
    ]


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fa", "dark")])
def test_every_page_is_accessible_in_both_languages_and_themes(
    stage: Stage, doubtful: str, language: str, scheme: str
) -> None:
    """WCAG 2.2 AA, as far as axe sees it; on a phone no page is wider than the screen."""

    wrong = []
    with stage.page(language, scheme) as page:
        for path in pages(stage, doubtful):
            page.set_viewport_size(WIDE)
            page.goto(path)
            wrong += stage.inaccessible(page)
            page.set_viewport_size(NARROW)
            if page.evaluate("document.documentElement.scrollWidth") > NARROW["width"]:
                wrong.append(f"{path} is wider than a phone")
        page.set_viewport_size(WIDE)
        page.goto("/")
        page.keyboard.press("?")
        wrong += stage.inaccessible(page)
    stage.complaints = [one for one in stage.complaints if "404" not in one]  # of the wallet that is not there
    assert wrong == []


def test_a_payout_in_doubt_is_settled_with_keys_alone(stage: Stage, doubtful: str) -> None:
    """From the overview in three keys to which payout, why, and what to do; then to its end."""

    with stage.page() as page:
        page.goto("/")
        page.keyboard.press("g")
        page.keyboard.press("a")
        page.wait_for_url("**/attention")
        expect(page.get_by_text("Ask the bank whether it executed the payment with this key").first).to_be_visible()
        page.keyboard.press("j")
        expect(page.locator(":focus")).to_have_attribute("href", doubtful)
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.locator(":focus").get_attribute("href") == f"{doubtful}/resolve?resolution=EXECUTED":
                break
        page.keyboard.press("Enter")
        page.get_by_label("Reason").focus()
        page.keyboard.type("Asked the bank by telephone")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The service would accept this. Do it?")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Done. The service has confirmed it.")).to_be_visible()
        expect(page.get_by_text("Asked the bank by telephone")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Succeeded")


def test_of_two_operators_one_settles_and_the_other_sees_why_not(stage: Stage, doubtful: str) -> None:
    """Both confirm at the same time, in windows of their own."""

    with stage.page() as first, stage.page() as second:
        for page, choice in ((first, "EXECUTED"), (second, "NOT_EXECUTED")):
            page.goto(f"{doubtful}/resolve?resolution={choice}")
            page.get_by_label("Reason").fill("asked")
            page.get_by_role("button", name="Continue").click()
            expect(page.get_by_text("Do it?")).to_be_visible()
        for page in (first, second):
            page.get_by_role("button", name="Settle").click()
        expect(first.get_by_text("Done. The service has confirmed it.")).to_be_visible()
        expect(second.get_by_text("Nothing was done.")).to_be_visible()
    stage.complaints = [one for one in stage.complaints if "409" not in one]  # the second answer


def test_a_double_click_pays_out_once(stage: Stage) -> None:
    """Both clicks have the request id that was made with the form."""

    before = len(list(stage.client.list_withdrawals()))
    with stage.page() as page:
        page.goto("/wallets/alice")
        page.get_by_role("link", name="Pay out").click()
        page.get_by_label("Amount").fill("12.50")
        page.get_by_label("When").fill("2099-01-01T12:00:00")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Schedule the payout").dblclick()
        expect(page.get_by_text("Done. The service has confirmed it.")).to_be_visible()

    assert len(list(stage.client.list_withdrawals())) == before + 1


def test_an_open_page_shows_what_happens(stage: Stage) -> None:
    """Without being read again; where a person was in it stays."""

    open_funded(stage.client, carol=1_000)
    with stage.page() as page:
        page.goto("/wallets/carol")
        page.get_by_role("link", name="Statement").focus()
        for _ in range(50):
            stage.client.deposit("wallets/carol", usd(100))
            write_journal.run_once(stage.app)
            page.wait_for_timeout(100)
            if "10.00" not in page.locator(".tiles").inner_text():
                break
        expect(page.locator(".tiles dd").first).not_to_have_text(re.compile("^10.00"))
        expect(page.get_by_role("link", name="Statement")).to_be_focused()


def test_keys_lead_everywhere(stage: Stage) -> None:
    """Search, every page of the navigation, and the list of keys."""

    with stage.page() as page:
        page.goto("/")
        page.keyboard.press("/")
        page.keyboard.type("INV-7")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search?q=INV-7")
        expect(page.get_by_role("heading", level=1)).to_contain_text("INV-7")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        keys = {link.get_attribute("data-key"): link.get_attribute("href") for link in links(page)}
        assert len(keys) == 11
        for key, path in keys.items():
            page.keyboard.press("g")
            page.keyboard.press(str(key))
            page.wait_for_url(f"**{path}")


def links(page: Page) -> list[Locator]:
    """Return the links of the navigation."""
    return page.locator("nav a[data-key]").all()


def test_the_language_is_chosen_and_kept(stage: Stage) -> None:
    """With true right-to-left: the navigation is on the other side, figures keep their order."""

    with stage.page() as page:
        page.goto("/wallets/alice")
        page.get_by_role("link", name="فارسی").click()
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        assert page.locator("nav.side").bounding_box()["x"] > 600  # type: ignore[index]  # it is visible
        expect(page.locator(".tiles dd").first).to_contain_text("۱۲")
        page.goto("/wallets")
        expect(page.locator("html")).to_have_attribute("lang", "fa")


def test_the_ledger_is_verified_from_the_console(stage: Stage) -> None:
    """Started, followed, and reported."""

    with stage.page() as page:
        page.goto("/verify")
        page.get_by_role("button", name="Verify the ledger").click()
        expect(page.get_by_text("The books are proven.")).to_be_visible(timeout=60_000)
        page.goto("/")
        expect(page.get_by_text("Books proven")).to_be_visible()
