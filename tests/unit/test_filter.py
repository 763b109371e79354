"""Filters are read into conditions, or refused with the place and the reason."""

from datetime import UTC, datetime

import pytest

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

FIELDS = {
    "owner": Field(Kind.TEXT),
    "state": Field(Kind.WORD, {"STATE_ACTIVE": "ACTIVE", "ACTIVE": "ACTIVE", "STATE_FROZEN": "FROZEN"}),
    "amount": Field(Kind.INTEGER),
    "create_time": Field(Kind.TIME),
    "labels": Field(Kind.LABEL),
}
ALL_FIELDS = "owner, state, amount, create_time, labels.KEY"


def refused(text: str) -> FilterInvalid:
    """Return the refusal of a filter."""
    with pytest.raises(FilterInvalid) as caught:
        parse_filter(text, FIELDS)
    return caught.value


def value_of(text: str) -> str | int | datetime:
    """Return the value of a filter of one comparison."""
    (condition,) = parse_filter(text, FIELDS)
    return condition.value


@pytest.mark.parametrize("text", ["", " ", " \t\r\n "])
def test_a_blank_filter_has_no_conditions(text: str) -> None:
    """Everything is listed."""

    assert parse_filter(text, FIELDS) == ()


def test_comparisons_are_joined_by_and_in_the_order_they_are_written() -> None:
    """One filter with every kind of field in it."""

    text = (
        'owner = "Ann \\"A\\" \\\\ B" AND state != STATE_ACTIVE AND amount>=-5 AND labels.cost-center_1="x y"'
        " AND create_time < 2026-01-31T23:59:59.5+03:30"
    )

    assert parse_filter(text, FIELDS) == (
        Condition("owner", "", Op.EQUAL, 'Ann "A" \\ B'),
        Condition("state", "", Op.NOT_EQUAL, "ACTIVE"),
        Condition("amount", "", Op.GREATER_OR_EQUAL, -5),
        Condition("labels", "cost-center_1", Op.EQUAL, "x y"),
        Condition("create_time", "", Op.LESS, datetime(2026, 1, 31, 20, 29, 59, 500_000, UTC)),
    )


@pytest.mark.parametrize("op", Op)
@pytest.mark.parametrize("space", ["", " ", "\t \n"])
def test_every_operator_is_read_with_and_without_spaces_around_it(op: Op, space: str) -> None:
    """Longer operators are not taken for shorter ones."""

    assert parse_filter(f"{space}amount{space}{op}{space}5{space}", FIELDS) == (Condition("amount", "", op, 5),)


@pytest.mark.parametrize("field", ["owner", "state", "labels.team"])
@pytest.mark.parametrize("op", [Op.LESS, Op.LESS_OR_EQUAL, Op.GREATER, Op.GREATER_OR_EQUAL])
def test_what_has_no_order_is_compared_for_equality_only(field: str, op: Op) -> None:
    """Texts, words and labels are the same or not."""

    refusal = refused(f"{field} {op} ACTIVE")

    assert (refusal.position, refusal.token) == (len(field) + 1, op)
    assert refusal.description == "expected one of the operators of this field: = !="


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("a", "a"),
        ("a.B_c:1+2-3", "a.B_c:1+2-3"),
        ("-", "-"),
        ("and", "and"),
        ("ANDY", "ANDY"),
        ('""', ""),
        ('"AND"', "AND"),
        ("\"a OR (b*) = 'c', NOT d\"", "a OR (b*) = 'c', NOT d"),
        (r'"\\"', "\\"),
        (r'"\\\""', '\\"'),
        ('"سلام\n🙂"', "سلام\n🙂"),
    ],
)
def test_text_is_a_bare_value_or_anything_in_quotes(written: str, value: str) -> None:
    """In quotes nothing has a meaning but the two escapes."""

    assert value_of(f"owner={written}") == value


@pytest.mark.parametrize("written", ["STATE_ACTIVE", "ACTIVE", '"ACTIVE"'])
def test_a_value_is_converted_for_the_storages_comparison(written: str) -> None:
    """However it may be written, with quotes or without."""

    assert value_of(f"state = {written}") == "ACTIVE"


@pytest.mark.parametrize("written", ["FROZEN", "active", "STATE_CLOSED", '""', '" ACTIVE"', "1"])
def test_an_unknown_value_of_a_field_is_refused_with_the_known_ones(written: str) -> None:
    """Only the spellings declared."""

    refusal = refused(f"state = {written}")

    assert (refusal.position, refusal.token) == (8, written)
    assert refusal.description == "expected one of: STATE_ACTIVE, ACTIVE, STATE_FROZEN"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("007", 7),
        ('"12"', 12),
        (str(INT64_MAX), INT64_MAX),
        (str(INT64_MIN), INT64_MIN),
        ("0" * 900 + "1", 1),
    ],
)
def test_an_integer_is_any_of_64_bits(written: str, value: int) -> None:
    """From the smallest to the largest."""

    assert value_of(f"amount = {written}") == value


@pytest.mark.parametrize(
    "written",
    [
        *[str(INT64_MAX + 1), str(INT64_MIN - 1), "9" * 1000, "+1", "--1", "-", "1.0", "1e3", "1_0", "0x1", "x", '""'],
        *['" 1"', '"1\n"', '"\N{ARABIC-INDIC DIGIT ONE}"', '"\uff11"', '"²"'],
    ],
)
def test_what_is_no_integer_of_64_bits_is_refused(written: str) -> None:
    """No fractions, no signs but minus, no other alphabets' digits, nothing too large."""

    refusal = refused(f"amount = {written}")

    assert (refusal.position, refusal.token) == (9, written[:MAX_TOKEN_SHOWN])
    assert refusal.description.startswith("expected a whole number")


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2026-01-31T23:59:59Z", datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-31t23:59:59z", datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-31T23:59:59.123456Z", datetime(2026, 1, 31, 23, 59, 59, 123456, UTC)),
        ("2026-01-31T23:59:59.1Z", datetime(2026, 1, 31, 23, 59, 59, 100_000, UTC)),
        ("2026-01-01T00:30:00+03:30", datetime(2025, 12, 31, 21, 0, tzinfo=UTC)),
        ("2026-01-01T00:30:00-23:59", datetime(2026, 1, 2, 0, 29, tzinfo=UTC)),
        ("2024-02-29T00:00:00-00:00", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_a_time_is_read_into_utc(written: str, value: datetime, quote: str) -> None:
    """RFC 3339, with quotes or without."""

    found = value_of(f"create_time < {quote}{written}{quote}")

    assert found == value
    assert isinstance(found, datetime)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "written",
    [
        *["2026-01-31", "2026-01-31T23:59:59", "2026-01-31T23:59Z", "20260131T235959Z", "2026-W05-6T00:00:00Z"],
        *["2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z", "0000-01-01T00:00:00Z"],
        *["2026-01-31T24:00:00Z", "2026-01-31T23:60:00Z", "2026-01-31T23:59:60Z", "2026-01-31T23:59:59.Z"],
        *["2026-01-31T23:59:59+24:00", "2026-01-31T23:59:59+03:60", "2026-01-31T23:59:59+0330"],
        *["2026-01-31T23:59:59+03", "2026-01-31T23:59:59+03:30:10", "2026-01-31T23:59:59UTC"],
        *["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "12026-01-31T23:59:59Z", "-0001-01-31T00:00:00Z"],
        *["now", "1767225600", '""', '"2026-01-31 23:59:59Z"', '"2026-01-31T23:59:59Z\n"', '" 2026-01-31T23:59:59Z"'],
        *['"2026-01-31T23:59:59,5Z"', '"\N{ARABIC-INDIC DIGIT TWO}026-01-31T23:59:59Z"'],
    ],
)
def test_what_is_no_time_of_rfc_3339_is_refused(written: str) -> None:
    """No other forms of ISO 8601, no days that never were, nothing that in UTC leaves the calendar."""

    refusal = refused(f"create_time < {written}")

    assert (refusal.position, refusal.token) == (14, written)
    assert refusal.description.startswith("expected a time with its zone")


def test_a_time_below_microseconds_is_refused_and_not_cut() -> None:
    """No boundary is moved, however little."""

    assert "microseconds" in refused("create_time < 2026-01-31T23:59:59.1234567Z").description


@pytest.mark.parametrize("field", ["balance", "Owner", "owner.name", "state.", "labelss.team", "1", "amount.labels"])
def test_an_unknown_field_is_refused_with_those_there_are(field: str) -> None:
    """The message is exact."""

    refusal = refused(f"amount = 1 AND {field} = 1")

    assert (refusal.position, refusal.token) == (15, field)
    assert refusal.description == f"unknown field; there are: {ALL_FIELDS}"


@pytest.mark.parametrize("key", ["a", "a-b_c9", "a" * 63])
def test_a_label_is_named_by_its_key(key: str) -> None:
    """The key is set apart from the value."""

    assert parse_filter(f"labels.{key} != 7", FIELDS) == (Condition("labels", key, Op.NOT_EQUAL, "7"),)


@pytest.mark.parametrize("field", ["labels", "labels.", "labels.A", "labels.1", "labels.a.b", "labels." + "a" * 64])
def test_a_label_key_that_cannot_be_is_refused(field: str) -> None:
    """No key, or one that no label can have."""

    refusal = refused(f"{field} = x")

    assert (refusal.position, refusal.token) == (0, field[:MAX_TOKEN_SHOWN])
    assert "labels.KEY" in refusal.description


@pytest.mark.parametrize(
    ("text", "position", "token", "description"),
    [
        ("state = ACTIVE OR amount = 1", 15, "OR", "OR is not supported"),
        ("owner = OR", 8, "OR", "OR is not supported"),
        ("NOT state = ACTIVE", 0, "NOT", "NOT is not supported"),
        ("-state = ACTIVE", 0, "-state", "negation by - is not supported"),
        ("(state = ACTIVE)", 0, "(", "parentheses and functions are not supported"),
        ("state = ACTIVE)", 14, ")", "parentheses and functions are not supported"),
        ("create_time < now()", 17, "(", "parentheses and functions are not supported"),
        ("owner = ann*", 11, "*", "wildcards are not supported"),
        ("owner = *", 8, "*", "wildcards are not supported"),
        ("labels:team", 0, "labels:team", "the operator : is not supported"),
    ],
)
def test_what_else_aip_160_has_is_refused_by_name(text: str, position: int, token: str, description: str) -> None:
    """A caller that knows the larger language learns which part of it is missing here."""

    refusal = refused(text)

    assert (refusal.position, refusal.token) == (position, token)
    assert refusal.description.startswith(description)


@pytest.mark.parametrize(
    ("text", "position", "token", "description"),
    [
        ("amount", 6, "", "expected one of the operators"),
        ("amount ", 7, "", "expected one of the operators"),
        ("amount 1", 7, "1", "expected one of the operators"),
        ("amount =", 8, "", "expected a value"),
        ("amount == 1", 8, "=", "expected a value"),
        ("amount = AND amount = 1", 9, "AND", "expected a value"),
        ("owner = AND", 8, "AND", "expected a value"),
        ("= 1", 0, "=", "expected a field"),
        ('"amount" = 1', 0, '"amount"', "expected a field"),
        ("AND amount = 1", 0, "AND", "expected a field"),
        ("amount = 1 AND", 14, "", "expected a field"),
        ("amount = 1 AND ", 15, "", "expected a field"),
        ("amount = 1 AND AND amount = 2", 15, "AND", "expected a field"),
        ("amount = 1 amount = 2", 11, "amount", "expected the end or another comparison after AND"),
        ("amount = 1 and amount = 2", 11, "and", "expected the end or another comparison after AND"),
        ("amount = 1 ANDamount = 2", 11, "ANDamount", "expected the end or another comparison after AND"),
        ('owner = "a"AND amount = 2', 11, "AND", "expected the end or another comparison after AND"),
        ('owner = "a" "b"', 12, '"b"', "expected the end or another comparison after AND"),
        ('owner = "a" "AND" amount = 2', 12, '"AND"', "expected the end or another comparison after AND"),
        ("amount = 1 = 1", 11, "=", "expected the end or another comparison after AND"),
        ("amount = 1AND amount = 2", 9, "1AND", "expected a whole number"),
        ("amount = 1;", 10, ";", "this character may stand in double quotes only"),
        ("amount ! 1", 7, "!", "this character may stand in double quotes only"),
        ("owner = 'a'", 8, "'", "this character may stand in double quotes only"),
        ("owner =\N{NO-BREAK SPACE}a", 7, "\N{NO-BREAK SPACE}", "this character may stand in double quotes only"),
        ("owner = é", 8, "é", "this character may stand in double quotes only"),
        ('owner = "', 8, '"', "the quotes that begin here are not closed"),
        ('owner = "a AND amount = 1', 8, '"a AND amount = 1', "the quotes that begin here are not closed"),
        ('owner = "a\\"', 8, '"a\\"', "the quotes that begin here are not closed"),
        ('owner = "a""', 11, '"', "the quotes that begin here are not closed"),
        ('owner = "a\\n"', 10, "\\n", "expected one of the two escapes"),
        ('owner = "a\\', 10, "\\", "expected one of the two escapes"),
        ('owner = "a\0"', 10, "\0", "a filter cannot hold the NUL character"),
        ("\0", 0, "\0", "a filter cannot hold the NUL character"),
    ],
)
def test_what_is_missing_or_too_much_is_refused_where_it_is(
    text: str, position: int, token: str, description: str
) -> None:
    """The place is counted in characters, and the message has what was expected there."""

    refusal = refused(text)

    assert (refusal.position, refusal.token) == (position, token)
    assert refusal.description.startswith(description)


def test_the_place_is_counted_in_characters_and_not_in_bytes() -> None:
    """What is before it may be in any alphabet."""

    assert refused('owner = "🙂é" AND x = 1').position == 17


def test_a_long_token_is_cut_in_the_refusal() -> None:
    """The refusal stays short, with any text."""

    assert refused(f"{'x' * 500} = 1").token == "x" * 64


def test_a_filter_as_long_as_allowed_is_read_and_one_character_more_refused() -> None:
    """Characters, not bytes; the place is the first character too many."""

    frame = len('owner=""')
    longest = f'owner="{"é" * (MAX_FILTER_LENGTH - frame)}"'
    refusal = refused(longest + " ")

    assert value_of(longest) == "é" * (MAX_FILTER_LENGTH - frame)
    assert (refusal.position, refusal.token) == (MAX_FILTER_LENGTH, " ")
    assert refusal.description == "a filter has at most 1024 characters"


def test_as_many_comparisons_as_allowed_are_read_and_one_more_refused() -> None:
    """The place is the AND that has one condition too many."""

    most = " AND ".join(["amount = 1"] * MAX_COMPARISONS)
    refusal = refused(f"{most} AND amount = 1")

    assert len(parse_filter(most, FIELDS)) == MAX_COMPARISONS
    assert (refusal.position, refusal.token) == (len(most) + 1, "AND")
    assert refusal.description == "a filter has at most 10 comparisons"


def test_one_field_may_be_compared_more_than_once() -> None:
    """A span of time has two ends."""

    first, last = parse_filter("amount >= 1 AND amount < 5", FIELDS)

    assert (first.op, last.op) == (Op.GREATER_OR_EQUAL, Op.LESS)
