"""Every page of the console: it answers, it is confined, it shows what there is, and it changes nothing."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from scheduler.jobs import write_journal
from tests.support.callers import everything, usd
from tests.support.console import Visitor, words
from wallet_client import Amount, Payer, WalletClient
from wallet_console.pages.transactions import TYPES
from wallet_core.usecases.app import App

LATER = datetime.now(UTC) + timedelta(days=1)  # noqa: TID251  # a time to come
ATTACK = '<script>alert("x")</script>&amp;'
LOCAL = re.compile(r"""(?:src|href|action)=["'](?!/|#|\?|["'])""")
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", re.IGNORECASE)


@pytest.fixture
def books(client: WalletClient) -> dict[str, str]:
    """Return the pages of one of everything, with texts that attack."""
    client.create_wallet("alice", "USD", owner="owner-1", display_name=ATTACK, labels={"tier": "gold"})
    client.create_wallet("bob", "USD", owner="owner-2", display_name="باب")
    client.create_wallet("berta", "KWD")
    rule = client.create_commission_rule("USD", Payer.SOURCE, rate_millionths=12_500, threshold_minor_units=100).rule
    client.deposit("wallets/alice", usd(123_456), description=ATTACK, external_reference="INV-7")
    paid = client.transfer("wallets/alice", "wallets/bob", usd(10_000), description=ATTACK, labels={"order": "7"})
    client.reverse_transaction(paid.transaction.name, amount=usd(1_000))
    hold = client.place_hold("wallets/alice", usd(500), LATER, description=ATTACK).hold
    payout = client.schedule_withdrawal("wallets/alice", usd(700), execute_time=LATER, bank_account="DE1").withdrawal
    deposit = client.schedule_deposit("wallets/bob", usd(800), execute_time=LATER, description=ATTACK).scheduled_deposit
    webhook = client.create_webhook("https://shop.example/events", description=ATTACK).webhook
    client.ping_webhook(webhook.name)
    named = {"transaction": paid.transaction, "hold": hold, "payout": payout, "deposit": deposit, "webhook": webhook}
    last = {kind: one.name.rpartition("/")[2] for kind, one in named.items()}  # type: ignore[attr-defined]  # all have
    return {
        "/": "No scheduler runs",
        "/wallets": "alice",
        "/wallets?label=tier%3Dgold": "alice",
        "/wallets/alice": "Balance over time",
        "/wallets/system:external:USD": "system:external:USD",
        "/wallets/alice/statement": "+1,234.56",
        "/transactions": "INV-7",
        "/transactions?reference=INV-7&least=1%2C000&type=TYPE_DEPOSIT": "1,234.56",
        f"/transactions/{last['transaction']}": "Sum 0.00",
        f"/holds/{last['hold']}": "5.00 USD",
        "/payouts": "7.00 USD",
        "/payouts?state=SCHEDULED": "7.00 USD",
        f"/payouts/{last['payout']}": "Timeline",
        "/collections": "8.00 USD",
        f"/collections/{last['deposit']}": "Scheduled deposit",
        "/attention": "Nothing needs a person",
        "/commission": "1.25%",
        "/commission?source=alice&destination=bob&amount=100": "1.25 USD",
        "/events": "Events",
        "/events?from=start": "Wallet created",
        "/webhooks": "https://shop.example/events",
        f"/webhooks/{last['webhook']}": "Test request",
        "/reconciliation": "No breaks",
        "/verify": "Verify the ledger",
        "/search?q=INV-7": "1,234.56",
        "/search?q=owner-2": "bob",
        "/search?q=nothing-like-this": "Nothing was found",
        "/wallets/alice/freeze": "Freeze this wallet",
        "/wallets/alice/pay-out": "Schedule a payout",
        f"/transactions/{last['transaction']}/reverse": "Reverse this transaction",
        f"/webhooks/{last['webhook']}/redeliver": "Send all dead letters again",
        f"/commission/{rule.name.rpartition('/')[2]}/end": "End this commission rule",
    }


def test_every_page_shows_what_there_is_and_nothing_from_elsewhere(
    console: Visitor, app: App, books: dict[str, str], owner: psycopg.Connection
) -> None:
    """In both languages, under a strict policy, with every text escaped; and reading changes nothing at all."""

    write_journal.run_once(app)
    before = everything(owner)

    for path, shown in books.items():
        page = console.get(path)
        assert page.status_code == 200, (path, page.text)
        assert shown in words(page), (path, words(page))
        assert_confined(page)
        persian = console.http.get(path, headers={"accept-language": "fa"}, follow_redirects=True)
        assert '<html lang="fa" dir="rtl">' in persian.text, path
        assert_confined(persian)

    assert everything(owner) == before


def assert_confined(page: httpx.Response) -> None:
    """Raise unless a page is its own: no script, style or address of another."""
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert "<script>alert" not in page.text
    assert not INLINE.search(page.text), INLINE.search(page.text)
    outside = [match for match in LOCAL.findall(page.text) if "https://shop" not in match]
    assert not outside, outside


def test_a_page_of_what_is_not_there_says_so(console: Visitor) -> None:
    """In words, and that nothing was changed."""

    page = console.get("/wallets/nobody")

    assert page.status_code == 404
    assert "There is nothing with this name" in words(page)
    assert "Nothing was changed." in words(page)


def test_what_has_one_name_is_found_by_it_at_once(console: Visitor, client: WalletClient) -> None:
    """A wallet's id, and the id of any payment, lead to its page."""

    client.create_wallet("alice", "USD")
    paid = client.deposit("wallets/alice", usd(5)).transaction.name

    assert console.get("/search", q="alice").url.path == "/wallets/alice"
    assert console.get("/search", q=paid.rpartition("/")[2]).url.path == f"/{paid}"


def test_lists_are_read_page_by_page(console: Visitor, client: WalletClient) -> None:
    """By the place after the last row, so that a page costs the same among any number."""

    client.create_wallet("alice", "JPY")
    for number in range(60):
        client.deposit("wallets/alice", Amount("JPY", 1_000 + number))

    first = console.get("/transactions")
    (following,) = re.findall(r'rel="next" href="([^"]+)"', first.text)
    second = console.get(following.replace("&amp;", "&"))

    rows = [len(re.findall(r"<tr>", page.text)) - 1 for page in (first, second)]
    assert rows == [50, 10]
    assert "1,059" in words(first)
    assert "1,009" in words(second)


def test_a_statement_is_exported_and_a_receipt_is_shown(console: Visitor, client: WalletClient) -> None:
    """The first as a file with all entries, the second as a PDF in either language."""

    client.create_wallet("alice", "USD")
    paid = client.deposit("wallets/alice", usd(12_345), external_reference="INV-7").transaction.name

    exported = console.get("/wallets/alice/statement.csv")
    receipts = [console.get(f"/{paid}/receipt", receipt=language) for language in ("en", "fa")]

    assert exported.headers["content-disposition"] == 'attachment; filename="statement-alice.csv"'
    assert "INV-7" in exported.text
    assert [receipt.content[:5] for receipt in receipts] == [b"%PDF-"] * 2
    assert receipts[0].content != receipts[1].content


def test_a_wallets_chart_is_exact_at_its_points(console: Visitor, client: WalletClient) -> None:
    """It ends with the balance of now, with few entries and with more than one call reads."""

    client.create_wallet("alice", "USD")
    client.deposit("wallets/alice", usd(5_000))

    page = console.get("/wallets/alice", range="24h")

    assert "From 0.00 to 50.00 USD" in words(page)
    for _ in range(201):
        client.deposit("wallets/alice", usd(1))
    assert "From 0.00 to 52.01 USD" in words(console.get("/wallets/alice", range="24h"))
    assert '<path class="line" d="M0 ' in page.text


def test_every_type_of_transaction_can_be_chosen() -> None:
    """All but the one that is never sent."""

    assert len(TYPES) == 11


def test_a_console_is_reached_by_its_own_names_only(console: Visitor) -> None:
    """Another name that leads here is an attack by DNS."""

    assert console.http.get("/", headers={"host": "evil.example"}).status_code == 400
    assert console.http.get("/health").text == "ok"


def test_a_file_is_sent_again_only_if_it_has_changed(console: Visitor) -> None:
    """A page loads its own few files, and a browser keeps them."""

    sent = console.http.get("/static/console.css")

    assert sent.headers["cache-control"] == "no-cache"
    assert console.http.get("/static/console.css", headers={"if-none-match": sent.headers["etag"]}).status_code == 304
