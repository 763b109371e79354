"""The tables as SQLAlchemy sees them, for reading. ``migrations/`` makes them; a test holds the two together."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

_TIME = DateTime(timezone=True)

wallets = Table(
    "wallets",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text(collation="C"), nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("owner", Text(collation="C"), nullable=False),
    Column("display_name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("overdraft_limit", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("last_time", _TIME, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

currencies = Table(
    "currencies",
    metadata,
    Column("code", Text(collation="C"), primary_key=True),
    Column("exponent", SmallInteger, nullable=False),
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("type", Text(collation="C"), nullable=False),
    Column("source", BigInteger, nullable=False),
    Column("destination", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("description", Text, nullable=False),
    Column("external_reference", Text, nullable=False),
    Column("cause", Uuid),
    Column("time", _TIME, nullable=False),
    Column("commission", BigInteger, nullable=False),
    Column("commission_rule", Uuid),
    Column("commission_payer", Text),
    Column("labels", JSONB, nullable=False),
    Column("batch", Uuid),
    Column("batch_item", Integer),
)

entries = Table(
    "entries",
    metadata,
    Column("wallet", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("transaction", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("balance_after", BigInteger, nullable=False),
    Column("time", _TIME, nullable=False),
    Column("type", Text(collation="C"), nullable=False),
)

entry_totals = Table(
    "entry_totals",
    metadata,
    Column("wallet", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("type", Text(collation="C"), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("credited", Numeric, nullable=False),
    Column("debited", Numeric, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("caller", Text(collation="C"), primary_key=True),
    Column("request_id", Uuid, primary_key=True),
    Column("method", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("subject", Text),
    Column("available", BigInteger),
    Column("refusal", Text),
    Column("told", JSONB),
    Column("time", _TIME, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("time", _TIME, nullable=False),
    Column("wallets", ARRAY(Text), nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("wallets", ARRAY(Text), nullable=False),
    Column("time", _TIME, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)


def _order_columns(*own: Column[Any]) -> list[Column[Any]]:
    """Return what both kinds of orders have, with a kind's *own*."""
    return [
        Column("id", Uuid, primary_key=True),
        Column("wallet", BigInteger, nullable=False),
        Column("amount", BigInteger, nullable=False),
        Column("bank_account", Text, nullable=False),
        Column("description", Text, nullable=False),
        Column("execute_time", _TIME, nullable=False),
        Column("create_time", _TIME, nullable=False),
        Column("update_time", _TIME, nullable=False),
        Column("state", Text, nullable=False),
        Column("next_attempt_time", _TIME),
        Column("lease_until", _TIME),
        Column("fence", BigInteger, nullable=False),
        Column("asks", Integer, nullable=False),
        Column("bank_reference", Text, nullable=False),
        Column("failure_reason", Text),
        Column("attention", Text, nullable=False),
        *own,
        Column("unapplied", Boolean, nullable=False),
        Column("reconciled", Boolean, nullable=False),
    ]


withdrawals = Table(
    "withdrawals",
    metadata,
    *_order_columns(Column("reserve", Boolean, nullable=False)),
)

scheduled_deposits = Table(
    "scheduled_deposits",
    metadata,
    *_order_columns(
        Column("external_reference", Text, nullable=False),
        Column("collect", Boolean, nullable=False),
        Column("credit", Uuid),
    ),
)

bank_attempts = Table(
    "bank_attempts",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key", Text(collation="C"), primary_key=True),
    Column("start_time", _TIME, nullable=False),
    Column("answer", Text),
    Column("reference", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("answer_time", _TIME),
    Column("request", Text, nullable=False),
    Column("in_flight_until", _TIME, nullable=False),
    Column("is_resend", Boolean, nullable=False),
)

bank_statement_lines = Table(
    "bank_statement_lines",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("key", Text(collation="C"), nullable=False),
    Column("order_id", Uuid),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("time", _TIME, nullable=False),
    Column("match_result", Text),
    Column("why", Text, nullable=False),
    Column("resolution", Text, nullable=False),
    Column("resolved_by", Text, nullable=False),
    Column("ledger", Integer, nullable=False),
    Column("person", Text, nullable=False),
    Column("token_id", Text, nullable=False),
)

bank_statements = Table(
    "bank_statements",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("accepted_by", Text, nullable=False),
    Column("time", _TIME, nullable=False),
    Column("person", Text, nullable=False),
    Column("token_id", Text, nullable=False),
)

bank_following = Table(
    "bank_following",
    metadata,
    Column("trouble", Text, nullable=False),
    Column("since", _TIME, nullable=False),
    Column("read_to_end_at", _TIME),
    Column("ledger", Integer, nullable=False),
    Column("base", BigInteger, nullable=False),
)

resolutions = Table(
    "resolutions",
    metadata,
    Column("position", BigInteger, primary_key=True),
    Column("subject", Text(collation="C"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("bank_evidence", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("time", _TIME, nullable=False),
    Column("person", Text, nullable=False),
    Column("token_id", Text, nullable=False),
)

bank_rate_limit = Table(
    "bank_rate_limit",
    metadata,
    Column("calls", Double, nullable=False),
    Column("filled_at", _TIME, nullable=False),
)

holds = Table(
    "holds",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("wallet", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("expire_time", _TIME, nullable=False),
    Column("description", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    Column("lease_until", _TIME),
    Column("fence", BigInteger, nullable=False),
)

commission_rules = Table(
    "commission_rules",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("currency", Text(collation="C"), nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("rate_millionths", Integer, nullable=False),
    Column("fixed", BigInteger, nullable=False),
    Column("minimum", BigInteger, nullable=False),
    Column("maximum", BigInteger),
    Column("payer", Text, nullable=False),
    Column("wallet", BigInteger),
    Column("label_key", Text),
    Column("label_value", Text),
    Column("start_time", _TIME, nullable=False),
    Column("end_time", _TIME),
    Column("create_time", _TIME, nullable=False),
)

page_token_keys = Table("page_token_keys", metadata, Column("secret", Text, nullable=False))
