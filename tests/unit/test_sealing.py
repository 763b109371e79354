"""What callers carry for us: they can neither read nor change it, and it fits only what it was given for."""

from base64 import urlsafe_b64decode
from concurrent.futures import ThreadPoolExecutor
from string import ascii_letters

import pytest

from wallet_grpc.security.sealing import Seal, SealBroken

SEAL = Seal("secret")


@pytest.mark.parametrize("payload", [b"", b"1", b"0123456789abcdef", b'["a", 1]', "é\n".encode()])
def test_a_sealed_value_is_opened_with_the_secret(payload: bytes) -> None:
    """And by no other secret, nor for any other purpose."""

    token = SEAL.closed(payload, "a list")

    assert Seal("secret").opened(token, "a list") == payload
    for seal, bound_to in ((Seal("other"), "a list"), (SEAL, "another list")):
        with pytest.raises(SealBroken):
            seal.opened(token, bound_to)


def test_a_token_reveals_neither_a_number_nor_its_number_of_digits() -> None:
    """Two numbers have nothing in common, and the same one is the same again."""

    one, other = SEAL.closed(b"12345", "x"), SEAL.closed(b"1234567890", "x")

    assert b"12345" not in urlsafe_b64decode(one + "==")
    assert len(one) == len(other)
    assert one[:6] != other[:6]
    assert one == SEAL.closed(b"12345", "x") != SEAL.closed(b"12345", "y")


def test_a_token_is_refused_with_any_letter_changed() -> None:
    """Also where base64 would read the same bytes."""

    token = SEAL.closed(b"12345", "x")
    for place, letter in enumerate(token):
        other = ascii_letters[(ascii_letters.find(letter) + 1) % len(ascii_letters)]
        for changed in (token[:place] + other + token[place + 1 :], token[:place] + "!" + token[place:], token[:place]):
            with pytest.raises(SealBroken):
                SEAL.opened(changed, "x")


def test_one_seal_serves_many_threads() -> None:
    """All calls of a server share it."""

    message = [str(number).encode() for number in range(2000)]
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda one: SEAL.closed(one, "x"), message))
        assert list(pool.map(lambda token: SEAL.opened(token, "x"), tokens)) == message
