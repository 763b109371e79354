"""The keys that tokens are checked by: read again as they change, and never at the cost of callers."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Any, cast

import pytest
from jwt.algorithms import ECAlgorithm

from tests.support.issuer import (
    ISSUER,
    SECRET,
    Issuer,
    Published,
    by_secret,
    ending_in,
    stranger,
    tokens_of,
    unknown_key,
)
from tests.support.together import together
from wallet_core.settings import Settings
from wallet_grpc.errors.kinds import CredentialsInvalid
from wallet_grpc.security.access import Scope
from wallet_grpc.security.keys import KeysUnreadable
from wallet_grpc.security.tokens import Tokens
from walletctl.local.waiting import wait_until

ALL = " ".join(Scope)


@pytest.fixture
def published(issuer: Issuer) -> Iterator[Published]:
    """Publish the issuer's keys."""
    published = Published(issuer.key_set())
    yield published
    published.server.shutdown()
    published.server.server_close()


def test_a_new_key_is_taken_at_once_and_one_that_was_withdrawn_is_not(guarded: Settings, published: Published) -> None:
    """An unknown key is fetched; a known one is fetched again from time to time."""

    tokens = tokens_of(guarded, auth_keys=published.url, auth_keys_refresh_s=0.2, auth_keys_retry_s=1e-6)
    later = Issuer()
    later.add("ES256", "key-of-tomorrow")
    published.text = later.key_set()
    known = later.token("wallet.read")
    assert tokens.principal(known).caller == tokens.principal(known).caller == "shop"

    published.text = stranger().key_set()
    assert eventually_refused(tokens, known)
    assert eventually_refused(tokens, later.token("wallet.read"))


def test_a_token_that_was_good_is_refused_once_it_has_ended(guarded: Settings, issuer: Issuer) -> None:
    """However often it was taken before."""

    tokens = tokens_of(guarded, auth_leeway_s=0)
    ending = taken_three_times(tokens, issuer)
    assert eventually_refused(tokens, ending)


def taken_three_times(tokens: Tokens, issuer: Issuer) -> str:
    """Return a token that was taken three times and ends soon: later where the machine is too busy to take it."""
    for seconds in (1, 4, 16, 64):
        ends_at = ending_in(seconds)
        token = issuer.token("wallet.read", exp=ends_at)
        with suppress(CredentialsInvalid):
            assert [tokens.principal(token).caller for _ in range(3)] == ["shop"] * 3
            return token
        assert datetime.now(UTC) >= ends_at, "refused before its end"  # noqa: TID251  # a token's times are real
    raise AssertionError("no token was taken before its end")


def test_tokens_are_distinguished_however_many_are_sent(settings: Settings) -> None:
    """Each is distinguished, also where more come than are cached; one with another signature is rejected."""

    tokens = tokens_of(settings, auth_dev_secret=SECRET, auth_issuer=ISSUER)
    minted = [by_secret(owner=f"owner-{number}") for number in range(1100)]
    for _ in range(2):
        assert [tokens.principal(token).owner for token in minted] == [f"owner-{number}" for number in range(1100)]
    assert minted[-1] not in repr(tokens)
    assert tokens.principal(by_secret(exp=10**320)).caller == "shop-client"
    with pytest.raises(CredentialsInvalid):
        tokens.principal(minted[0][:-8] + minted[1][-8:])


def eventually_refused(tokens: Tokens, token: str) -> bool:
    """Return whether a token is refused before long."""

    def refused() -> bool:
        try:
            tokens.principal(token)
        except CredentialsInvalid:
            return True
        return False

    return wait_until(refused, timeout_s=90)


def test_invented_keys_do_not_cause_a_fetch_each(guarded: Settings, published: Published) -> None:
    """Not more often than the settings permit, with any number of tokens."""

    tokens = tokens_of(guarded, auth_keys=published.url, auth_keys_retry_s=60.0)
    for number in range(50):
        other = Issuer()
        other.add("EdDSA", f"made-up-{number}")
        with pytest.raises(CredentialsInvalid):
            tokens.principal(other.token(ALL))

    assert published.reads == 1


def test_while_the_issuer_is_away_its_last_keys_hold_and_not_for_ever(
    guarded: Settings, issuer: Issuer, published: Published
) -> None:
    """The issuer may restart; a set that is too old is not used."""

    quick = {"auth_keys": published.url, "auth_keys_refresh_s": 0.01, "auth_keys_retry_s": 1e-6}
    patient, impatient = tokens_of(guarded, **quick), tokens_of(guarded, **quick, auth_keys_keep_s=0.05)
    published.text = None

    assert eventually_refused(impatient, issuer.token("wallet.read"))
    assert patient.principal(issuer.token("wallet.read")).caller == "shop"
    assert published.reads > 2


ODD_SETS = [
    '{"keys": 7}',
    '{"keys": [7, {"kty": "RSA", "kid": ["a"]}, {"kty": "EC", "kid": "a", "crv": {}}]}',
    "[" * 10_000,
    '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}',
]


@pytest.mark.parametrize("text", [*ODD_SETS, None, "{}", "no json"])
def test_keys_that_cannot_be_read_are_reported_at_start(
    guarded: Settings, published: Published, text: str | None
) -> None:
    """A server does not start without a key, nor with a shared secret in a set that is public."""

    published.text = text
    with pytest.raises(KeysUnreadable, match=published.url):
        tokens_of(guarded, auth_keys=published.url)


def test_a_set_that_turns_odd_leaves_the_last_one_in_force(
    guarded: Settings, issuer: Issuer, published: Published
) -> None:
    """With any answer of the address, known keys stay valid and no caller gets a defect."""

    quick = {"auth_keys": published.url, "auth_keys_refresh_s": 0.01, "auth_keys_retry_s": 1e-6}
    tokens = tokens_of(guarded, **quick)
    for odd in ODD_SETS:
        published.text = odd
        reads = published.reads
        while published.reads == reads:
            assert tokens.principal(issuer.token("wallet.read")).caller == "shop"


def test_a_private_key_in_the_set_is_not_used(guarded: Settings, issuer: Issuer, published: Published) -> None:
    """Every reader of the set could sign with it; the others in it are accepted."""

    leaky = Issuer()
    leaky.add("ES256", "leaked")
    leaked = ECAlgorithm.to_jwk(cast("Any", leaky.keys["leaked"][1]), as_dict=True)
    published.text = json.dumps({"keys": [{**leaked, "kid": "leaked"}, *json.loads(issuer.key_set())["keys"]]})
    tokens = tokens_of(guarded, auth_keys=published.url)

    with pytest.raises(CredentialsInvalid):
        tokens.principal(leaky.token(ALL))
    assert tokens.principal(issuer.token(ALL)).caller == "shop"


def test_calls_with_a_new_key_wait_for_one_fetch_together(guarded: Settings, published: Published) -> None:
    """It is fetched once; no caller is refused because another one was first."""

    tokens = tokens_of(guarded, auth_keys=published.url, auth_keys_retry_s=0.3)
    later = Issuer()
    later.add("ES256", "key-of-tomorrow")
    published.text = later.key_set()
    published.delay_s = 0.5
    threading.Event().wait(0.3)  # the first reading is long enough ago
    token = later.token("wallet.read")
    found = together([partial(tokens.principal, token) for _ in range(6)])

    assert [getattr(one, "caller", one) for one in found] == ["shop"] * 6
    assert published.reads == 2


def test_an_address_without_an_end_is_given_up_within_the_limit(
    guarded: Settings, issuer: Issuer, published: Published
) -> None:
    """A reading ends in time however slowly bytes come; known keys do not wait for it at all."""

    quick = {"auth_keys": published.url, "auth_keys_timeout_s": 2.0, "auth_keys_retry_s": 0.3}
    tokens = tokens_of(guarded, **quick)
    published.drips = True
    threading.Event().wait(0.3)  # the first reading is long enough ago
    with ThreadPoolExecutor(30) as pool:
        started_at = monotonic()
        strangers = [pool.submit(refused_after, tokens, unknown_key()) for _ in range(29)]
        assert tokens.principal(issuer.token("wallet.read")).caller == "shop"
        known_after = monotonic() - started_at
        waited = sorted(one.result(30) for one in strangers)

    assert known_after < 1
    assert waited[20] < 1
    assert waited[-1] < 10


def refused_after(tokens: Tokens, token: str) -> float:
    """Return how long it took to refuse a token."""
    started_at = monotonic()
    with pytest.raises(CredentialsInvalid):
        tokens.principal(token)
    return monotonic() - started_at
