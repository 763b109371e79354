"""Array literals of our own, against the driver's: the database must read the same."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wallet_core.storage.posting.arrays import plain, texts, times

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
# The database is only read, so one connection serves all examples.
READING = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)


@READING
@given(values=st.lists(st.one_of(st.none(), TEXT, st.sampled_from(["", "NULL", "null", "{}", ",", '"', "\\", " "]))))
def test_texts_are_read_as_they_were(owner: psycopg.Connection, values: list[str | None]) -> None:
    """Quotes, commas, braces, NULL as a word, nothing at all."""

    assert owner.execute("SELECT %s::text[]", [texts(values)]).fetchone() == (values,)


@READING
@given(values=st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))))
def test_numbers_are_read_as_they_were(owner: psycopg.Connection, values: list[int | None]) -> None:
    """All of int64."""

    assert owner.execute("SELECT %s::bigint[]", [plain(values)]).fetchone() == (values,)


@READING
@given(values=st.lists(st.uuids()))
def test_ids_are_read_as_they_were(owner: psycopg.Connection, values: list[UUID]) -> None:
    """UUIDs of all kinds."""

    assert owner.execute("SELECT %s::uuid[]", [plain(values)]).fetchone() == (values,)


@READING
@given(values=st.lists(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))))  # noqa: DTZ001  # the zone is given beside
def test_times_are_read_as_they_were(owner: psycopg.Connection, values: list[datetime]) -> None:
    """To the microsecond."""

    found = owner.execute("SELECT %s::timestamptz[]", [times(values)]).fetchone()
    assert found is not None
    assert [time - datetime(1970, 1, 1, tzinfo=UTC) for time in found[0]] == [
        value - datetime(1970, 1, 1, tzinfo=UTC) + timedelta() for value in values
    ]
