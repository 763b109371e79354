"""Any text as a filter is read or refused, soon; and what was meant is what is read."""

from datetime import UTC, datetime, timedelta, timezone
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.toolchain import often
from wallet_core.domain.model.errors import FilterInvalid
from wallet_core.domain.model.money import INT64_MAX, INT64_MIN
from wallet_core.domain.queries.filter import (
    MAX_COMPARISONS,
    MAX_FILTER_LENGTH,
    MAX_TOKEN_SHOWN,
    Condition,
    Field,
    Kind,
    Op,
    parse_filter,
)

WORDS = {"STATE_ACTIVE": "ACTIVE", "ACTIVE": "ACTIVE", "STATE_FROZEN": "FROZEN"}
FIELDS = {
    "owner": Field(Kind.TEXT),
    "state": Field(Kind.WORD, WORDS),
    "amount": Field(Kind.INTEGER),
    "create_time": Field(Kind.TIME),
    "labels": Field(Kind.LABEL),
}


def quoted(text: str) -> str:
    """Return the text as a quoted value."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def either_way(text: str) -> st.SearchStrategy[str]:
    """Return the text bare or in quotes."""
    return st.sampled_from([text, quoted(text)])


# Values of each kind as pairs: how they are written, and what they mean.
BARE = st.from_regex(r"[A-Za-z0-9_.:+-]{1,12}", fullmatch=True).filter(lambda word: word not in {"AND", "OR", "NOT"})
ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
TRICKY_TEXT = st.text('"\\ANDOR()*= ', max_size=12)
ZONES = st.integers(min_value=-1439, max_value=1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001  # zones are drawn
TEXTS = BARE.map(lambda text: (text, text)) | (ANY_TEXT | TRICKY_TEXT).map(lambda text: (quoted(text), text))
VALUES: dict[Kind, st.SearchStrategy[tuple[str, str | int | datetime]]] = {
    Kind.TEXT: TEXTS,
    Kind.LABEL: TEXTS,
    Kind.WORD: st.sampled_from(sorted(WORDS)).flatmap(lambda word: st.tuples(either_way(word), st.just(WORDS[word]))),
    Kind.INTEGER: st.integers(INT64_MIN, INT64_MAX).flatmap(lambda n: st.tuples(either_way(str(n)), st.just(n))),
    Kind.TIME: MOMENTS.flatmap(lambda at: st.tuples(either_way(at.isoformat()), st.just(at.astimezone(UTC)))),
}
OPS = {kind: list(Op) if kind in {Kind.INTEGER, Kind.TIME} else [Op.EQUAL, Op.NOT_EQUAL] for kind in Kind}
KEYS = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
SPACES = st.text(" \t\r\n", max_size=2)
GAPS = st.text(" \t\r\n", min_size=1, max_size=2)


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, Condition]:
    """Draw a valid comparison: how it is written, and what it means."""
    name = draw(st.sampled_from(sorted(FIELDS)))
    kind = FIELDS[name].kind
    key = draw(KEYS) if kind is Kind.LABEL else ""
    op = draw(st.sampled_from(OPS[kind]))
    written, value = draw(VALUES[kind])
    field = f"{name}.{key}" if key else name
    return f"{field}{draw(SPACES)}{op}{draw(SPACES)}{written}", Condition(name, key, op, value)


@st.composite
def filters(draw: st.DrawFn) -> tuple[str, tuple[Condition, ...]]:
    """Draw a valid filter: how it is written, and what it means."""
    drawn = draw(st.lists(comparisons(), max_size=MAX_COMPARISONS))
    text = ""
    for written, _ in drawn:
        text += f"{draw(GAPS)}AND{draw(GAPS)}{written}" if text else written
    return draw(SPACES) + text + draw(SPACES), tuple(condition for _, condition in drawn)


# The language's own tokens; in any order, or as comparisons of any field with any value.
NAMES = st.sampled_from([*FIELDS, "labels.team"])
WRITTEN = st.sampled_from(
    [
        *["ACTIVE", '"a"', "0", "-7", str(INT64_MAX), str(INT64_MIN - 1), "2026-01-31", "2026-01-31T23:59:59Z"],
        *['"2026-02-29T00:00:00+03:30"', "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-00:01"],
    ]
)
TOKENS = NAMES | WRITTEN | st.sampled_from([*Op, "AND"])
SOUPS = st.builds(str.join, st.sampled_from(["", " "]), st.lists(TOKENS, max_size=50))
MISMATCHES = st.lists(st.tuples(NAMES, st.sampled_from(Op), WRITTEN).map(" ".join), max_size=12).map(" AND ".join)
TROUBLE = st.sampled_from([*"\"\\()*!:.-'\0\n é\uff11🙂", '\\"', "\\\\", "OR", "NOT", " AND "])


@st.composite
def spoiled_filters(draw: st.DrawFn) -> str:
    """Draw a valid filter in which a few pieces are replaced by others."""
    text, _ = draw(filters())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        text = text[:start] + draw(TOKENS | TROUBLE | st.text(max_size=2)) + text[start + draw(st.integers(0, 4)) :]
    return text


def outcome_of(text: str) -> tuple[Condition, ...] | FilterInvalid:
    """Return what a filter is read into, or its refusal; anything else raised goes through."""
    try:
        return parse_filter(text, FIELDS)
    except FilterInvalid as refusal:
        return refusal


@given(text=st.text(max_size=MAX_FILTER_LENGTH + 10) | spoiled_filters() | SOUPS | MISMATCHES)
@settings(max_examples=often(400), deadline=None)
def test_any_filter_is_read_or_refused_with_its_place(text: str) -> None:
    """Nothing but a refusal is ever raised, and its token is at its place in the text."""

    match outcome_of(text):
        case FilterInvalid() as refusal:
            assert 0 <= refusal.position <= len(text)
            assert text.startswith(refusal.token, refusal.position)
            assert len(refusal.token) <= MAX_TOKEN_SHOWN
            assert (refusal.token == "") == (refusal.position == len(text))
            assert refusal.description
        case conditions:
            assert len(conditions) <= MAX_COMPARISONS
            assert bool(conditions) == bool(text.strip())


@given(written_and_meant=filters())
@settings(max_examples=often(200), deadline=None)
def test_what_was_meant_is_what_is_read(written_and_meant: tuple[str, tuple[Condition, ...]]) -> None:
    """However it is spaced and quoted, a valid filter is read into the conditions it was written from."""

    text, meant = written_and_meant

    assert parse_filter(text, FIELDS) == meant


@pytest.mark.parametrize(
    "piece",
    [
        *['"', '""', '"\\', '\\"', "\\", '"a', 'a"', " ", " \n", "a", "a ", "a.", "-", "1", "=", "!", "<=", "("],
        *["é", "\0", "AND", "AND ", "a=", "a=1 AND ", 'owner="a" AND ', "owner=a AND ", "2026-01-31T23:59:59.0"],
    ],
)
@pytest.mark.parametrize("before", ["", "owner=", 'owner="', "amount=-", 'amount="', "create_time<", "labels."])
@pytest.mark.parametrize("after", ["", "!", '"'])
def test_no_repetition_takes_long(before: str, piece: str, after: str) -> None:
    """A filter as long as allowed costs milliseconds; a pattern that tries again and again would take minutes."""

    room = MAX_FILTER_LENGTH - len(before) - len(after)
    text = before + (piece * room)[:room] + after
    began = process_time()

    outcome_of(text)

    assert len(text) == MAX_FILTER_LENGTH
    assert process_time() - began < 0.5
