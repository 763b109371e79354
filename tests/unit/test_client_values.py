"""Values of the Python client."""

from time import time
from uuid import RFC_4122, UUID

from wallet_client import new_request_id


def test_a_request_id_begins_with_its_time_and_is_random() -> None:
    """Version 7: the service's index of requests grows at its end, and nobody guesses an id."""

    before = time()
    ids = [UUID(new_request_id()) for _ in range(1000)]

    assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}
    assert all(before - 1 <= (one.int >> 80) / 1000 <= time() + 1 for one in ids)
    assert len({one.int & (1 << 62) - 1 for one in ids}) == 1000
