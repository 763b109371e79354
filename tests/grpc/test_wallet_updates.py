"""Updates of a wallet: labels, limits, display names, field masks and etags."""

from functools import partial
from typing import Any

import psycopg
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import wallet_service_pb2 as pb

from tests.support.api import Api, all_refused, refused
from tests.support.callers import BIGGEST, everything
from tests.support.holds import place_hold
from tests.support.requests import (
    a_close,
    a_deposit,
    a_freeze,
    a_transfer,
    an_unfreeze,
    an_update,
    changed,
    money,
    new_id,
)
from tests.support.together import together
from tests.support.wallet_changes import ACTIVE, CLOSED, change, ids_matching, payout
from tests.support.wire import Answer


def test_labels_are_replaced_as_a_whole_and_wallets_found_by_them(api: Api) -> None:
    """Set when created, replaced, cleared; an empty value is one, no label is none."""

    api.open("alice", labels={"tier": "gold", "kind": ""})
    api.open("bob", labels={"tier": "silver"})
    api.open("carol")
    assert ids_matching(api, 'labels.tier = "gold"') == ["alice"]
    assert ids_matching(api, 'labels.kind = ""') == ["alice"]

    replaced = api.update("alice", labels={"tier": "silver", "region": '\N{SNOWMAN} \\" \U0001f600'})

    assert dict(replaced.labels) == {"tier": "silver", "region": '\N{SNOWMAN} \\" \U0001f600'}
    assert api.wallet("alice") == replaced
    assert ids_matching(api, 'labels.tier = "silver"') == ["bob", "alice"]
    assert ids_matching(api, 'labels.tier = "silver" AND labels.region != "x"') == ["bob", "alice"]
    assert ids_matching(api, 'labels.tier != "silver"') == ["carol"]
    assert ids_matching(api, 'labels.region = "\N{SNOWMAN} \\\\\\" \U0001f600"') == ["alice"]
    assert ids_matching(api, 'labels.kind = ""') == []
    assert api.update("bob", display_name="Bob").labels == {"tier": "silver"}
    assert api.update("bob", "labels").labels == {}
    assert ids_matching(api, 'labels.tier = "silver"') == ["alice"]


def test_labels_keep_to_their_grammar(api: Api, owner: psycopg.Connection) -> None:
    """At most 32; keys of 1 to 63 that begin with a letter; values of up to 63 characters without controls."""

    api.open("alice")
    most = {f"k{number}": "v" * 63 for number in range(32)}
    good: list[dict[str, str]] = [most, {"a": ""}, {"a" * 63: "é" * 63}, {"a-_9": "\U0001f600" * 63}]
    bad: list[dict[str, str]] = [
        {**most, "k32": ""},
        *({key: "v"} for key in ("", "A", "aB", "1a", "-a", "_a", "a" * 64, "a b", "a.b", "é", "a\n")),
        *({"a": value} for value in ("v" * 64, "\0", "a\tb", "a\n", "\x1f", "\x7f", "\U0001f600" * 64)),
    ]

    for labels in good:
        assert dict(api.update("alice", labels=labels).labels) == labels
    before = everything(owner)
    for labels in bad:
        refusals = [
            api.refused(an_update("alice", labels=labels)),
            api.refused(
                pb.CreateWalletRequest(
                    wallet_id="new", wallet=pb.Wallet(currency_code="USD", labels=labels), request_id=new_id()
                )
            ),
        ]
        assert {refusal.reason for refusal in refusals} == {"INVALID_FIELDS"}, labels
        assert {violation.partition("[")[0] for refusal in refusals for violation in refusal.violations} == {
            "wallet.labels"
        }
    assert everything(owner) == before


def test_an_overdraft_limit_permits_a_negative_balance_and_no_lower(api: Api, owner: psycopg.Connection) -> None:
    """Raised, used, and never lowered below what is in use of it, held money too; unset clears it."""

    api.open("alice", 10)
    api.open("bob")
    assert api.refused(a_transfer("alice", "bob", 11)).reason == "INSUFFICIENT_FUNDS"

    raised = api.update("alice", overdraft_limit=money(100))
    assert (raised.overdraft_limit, raised.available, raised.balance) == (money(100), money(110), money(10))
    api.transfer("alice", "bob", 40)
    mine = place_hold(api, "alice", 20)
    wallet = api.wallet("alice")
    assert (wallet.balance, wallet.held, wallet.available) == (money(-30), money(20), money(50))
    over = api.refused(a_transfer("alice", "bob", 51))
    assert (over.reason, over.metadata["available"], over.metadata["required"]) == ("INSUFFICIENT_FUNDS", "50", "51")

    for request in (an_update("alice", overdraft_limit=money(49)), an_update("alice", "overdraft_limit")):
        refusal = refused(api, owner, request)
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
        assert refusal.metadata == {"resourceName": "wallets/alice", "limit": "50"}
    assert api.update("alice", overdraft_limit=money(50)).available == money(0)
    api.ok(hold_pb.VoidHoldRequest(name=mine, request_id=new_id()))
    assert api.update("alice", overdraft_limit=money(30)).available == money(0)
    api.deposit("alice", 30)
    cleared = api.update("alice", "overdraft_limit")
    assert (cleared.overdraft_limit, cleared.available) == (money(0), money(0))


def test_an_overdraft_limit_is_in_the_wallets_currency_and_not_negative(api: Api, owner: psycopg.Connection) -> None:
    """When created and when changed; as large as can be counted with the balance, and never a defect."""

    api.open("alice", 10)
    for limit in (money(-1), money(1, "xxx"), money(1, "usd"), money(1, "")):
        assert refused(api, owner, an_update("alice", overdraft_limit=limit)).reason == "INVALID_FIELDS"
    wrong = refused(api, owner, an_update("alice", overdraft_limit=money(1, "EUR")))
    assert (wrong.reason, wrong.metadata) == (
        "CURRENCY_MISMATCH",
        {"resourceName": "wallets/alice", "currency": "USD"},
    )
    for limit in (money(-1), money(1, "EUR")):
        wallet_fields = pb.Wallet(currency_code="USD", overdraft_limit=limit)
        refusal = api.refused(pb.CreateWalletRequest(wallet_id="x", wallet=wallet_fields, request_id=new_id()))
        assert refusal.reason == "INVALID_FIELDS"

    assert api.update("alice", overdraft_limit=money(BIGGEST - 10)).available == money(BIGGEST)
    refusal = refused(api, owner, an_update("alice", overdraft_limit=money(BIGGEST - 9)))
    assert refusal.reason == "LIMIT_EXCEEDED"
    assert api.refused(a_deposit("alice", 1)).reason == "LIMIT_EXCEEDED"
    api.open("deep", overdraft_limit=money(BIGGEST))
    api.update("alice", "overdraft_limit")
    api.transfer("deep", "alice", BIGGEST - 10)
    assert api.balances("deep", "alice") == [-(BIGGEST - 10), BIGGEST]
    assert api.wallet("deep").available == money(10)


def test_an_etag_changes_with_what_a_wallet_is_like_and_not_with_its_money(api: Api) -> None:
    """Name, labels, limit, state: each a new one. Deposits, transfers, holds: the same."""

    first = api.open("alice").etag
    api.open("bob")
    api.deposit("alice", 100)
    api.transfer("alice", "bob", 10)
    place_hold(api, "alice", 5)
    api.ok(payout("alice"))
    assert api.wallet("alice").etag == first
    assert first

    etags = [
        first,
        api.update("alice", display_name="A").etag,
        api.update("alice", labels={"a": "b"}).etag,
        api.update("alice", overdraft_limit=money(7)).etag,
        change(api, a_freeze("alice")).wallet.etag,
        change(api, an_unfreeze("alice")).wallet.etag,
        api.update("alice", "display_name", "labels", "overdraft_limit").etag,
    ]

    assert len(set(etags)) == len(etags)
    assert api.wallet("alice").etag == etags[-1]
    api.open("carol")
    assert change(api, a_close("carol")).wallet.etag != first


def test_an_etag_that_is_not_the_last_one_is_refused_for_good(api: Api, owner: psycopg.Connection) -> None:
    """By each of the four calls, after another came in between; the right one and none pass."""

    seen = api.open("alice").etag
    now = api.update("alice", display_name="other").etag
    requests: list[Any] = [
        an_update("alice", display_name="mine", etag=seen),
        a_freeze("alice", etag=seen),
        an_unfreeze("alice", etag=seen),
        a_close("alice", etag=seen),
        an_update("alice", display_name="mine", etag=now + "x"),
    ]

    for request, refusal in zip(requests, all_refused(api, owner, requests), strict=True):
        assert (refusal.code, refusal.reason) == ("ABORTED", "ETAG_MISMATCH"), request
        assert refusal.metadata == {"resourceName": "wallets/alice"}
    rename = an_update("alice", display_name="next")
    early = a_freeze("alice", etag=change(api, changed(rename, validate_only=True)).wallet.etag)
    refusal = api.refused(early)
    etag = change(api, rename).wallet.etag
    assert (etag, refusal.reason) == (early.etag, "ETAG_MISMATCH")
    assert api.refused(early) == refusal
    for kind in (a_freeze, an_unfreeze, a_freeze, a_close):
        etag = change(api, kind("alice", etag=etag)).wallet.etag
    assert api.wallet("alice").state == CLOSED
    for bad in ("é", "a b", "x" * 65, "\n"):
        assert api.refused(a_freeze("alice", etag=bad)).reason == "INVALID_FIELDS"


def test_of_many_with_the_same_etag_one_changes_the_wallet(api: Api) -> None:
    """Twenty at once with the etag that they read: the others get ETAG_MISMATCH."""

    etag = api.open("alice").etag
    requests = [an_update("alice", display_name=f"n{number}", etag=etag) for number in range(20)]

    answers = together([partial(api.answer, request) for request in requests])

    outcomes = [answer.reason for answer in answers if isinstance(answer, Answer)]
    assert sorted(outcomes) == ["", *["ETAG_MISMATCH"] * 19]
    assert api.wallet("alice").display_name == f"n{outcomes.index('')}"


def test_only_what_the_mask_names_is_changed(api: Api, owner: psycopg.Connection) -> None:
    """At least one of three, and nothing else; what it names and is unset is cleared, what it does not stays."""

    api.open("alice", owner="crm-7", display_name="Alice", labels={"a": "1"}, overdraft_limit=money(5))
    everything_else: dict[str, Any] = {
        "owner": "other",
        "state": CLOSED,
        "balance": money(9),
        "currency_code": "EUR",
        "display_name": "B",
        "labels": {"b": "2"},
        "overdraft_limit": money(7),
        "held": money(1),
    }

    def masked(*paths: str) -> pb.UpdateWalletRequest:
        request = an_update("alice", **everything_else)
        request.update_mask.paths[:] = paths
        return request

    named_only = change(api, masked("display_name")).wallet
    assert (named_only.display_name, dict(named_only.labels), named_only.overdraft_limit) == ("B", {"a": "1"}, money(5))
    two = change(api, masked("labels", "overdraft_limit", "labels")).wallet
    assert (dict(two.labels), two.overdraft_limit) == ({"b": "2"}, money(7))
    cleared = api.update("alice", "display_name", "labels", "overdraft_limit")
    assert (cleared.display_name, dict(cleared.labels), cleared.overdraft_limit) == ("", {}, money(0))
    assert (cleared.owner, cleared.state, cleared.currency_code, cleared.name) == (
        *("crm-7", ACTIVE, "USD", "wallets/alice"),
    )
    before = everything(owner)
    for paths in (
        (),
        *((bad,) for bad in ("", "*", "owner", "state", "etag", "balance", "currency_code", "displayName", "labels.a")),
        ("display_name", "owner"),
    ):
        refusal = api.refused(masked(*paths))
        assert (refusal.reason, refusal.violations) == ("INVALID_FIELDS", ("update_mask",)), paths
    for request in (
        changed(masked("labels"), update_mask=None),
        changed(masked("labels"), wallet=None),
        changed(masked("labels"), wallet=pb.Wallet()),
        changed(masked("labels"), wallet=pb.Wallet(name="alice")),
        changed(masked("labels"), request_id=None),
        changed(a_freeze("alice"), name="alice"),
        changed(a_close("alice"), request_id="x"),
    ):
        assert api.refused(request).reason == "INVALID_FIELDS", request
    assert everything(owner) == before


def test_a_display_name_has_up_to_128_characters(api: Api, owner: psycopg.Connection) -> None:
    """Characters, not bytes; any but control characters."""

    api.open("alice")
    for name in ("", "x" * 128, "\U0001f600" * 128, "a b'\";--\\"):
        assert api.update("alice", "display_name", display_name=name).display_name == name
        assert api.wallet("alice").display_name == name
    before = everything(owner)
    for name in ("x" * 129, "\U0001f600" * 129, "a\0b", "a\n"):
        refusal = api.refused(an_update("alice", display_name=name))
        assert (refusal.reason, refusal.violations) == ("INVALID_FIELDS", ("wallet.display_name",))
    assert everything(owner) == before
