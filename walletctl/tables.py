"""The columns of all tables: wallets, transactions, orders, holds, rules, and what needs attention."""

from decimal import Decimal

from walletctl.output import Column, Row, amount, labels, minor, short, signed, state, time, words

_PERCENT = 10_000


def _overdraft(row: Row) -> str:
    limit = row.get("overdraft_limit")
    return amount(limit) if limit is not None and limit["minor_units"] != "0" else ""


def _commission(row: Row) -> str:
    return amount(row["commission"]["amount"]) if "commission" in row else ""


def _reversed(row: Row) -> str:
    return "" if row["state"] == "STATE_POSTED" else state(row["state"])


def _outcome(row: Row) -> str:
    reason = str(row["failure_reason"]).removeprefix("FAILURE_REASON_")
    shown = row["bank_reference"] or ("" if reason == "UNSPECIFIED" else reason) or row["attention"]
    return words(shown or ("credited" if row.get("transaction") else ""))


def _kind(row: Row) -> str:
    if row["name"].startswith("withdrawals/"):
        return "withdrawal"
    return "collection" if row["collect"] else "deposit"


def _takes(row: Row) -> str:
    currency = row["currency_code"]
    taken = [f"{Decimal(row['rate_millionths']) / _PERCENT:f}%"] if row["rate_millionths"] else []
    taken += [minor(row["fixed_minor_units"], currency)] if row["fixed_minor_units"] != "0" else []
    parts = [" + ".join(taken) or "nothing"]
    parts += [f"at least {minor(row['minimum_minor_units'], currency)}"] if row["minimum_minor_units"] != "0" else []
    parts += [f"at most {minor(row['maximum_minor_units'], currency)}"] if "maximum_minor_units" in row else []
    return ", ".join(parts)


def _payer(row: Row) -> str:
    return str(row["payer"]).removeprefix("COMMISSION_PAYER_").lower()


def _scope(row: Row) -> str:
    if "label" in row:
        return words(f"{row['label']['key']}={row['label']['value']}")
    return short(row["wallet"]) if "wallet" in row else "all"


def _last_answer(row: Row) -> str:
    if not row["attempts"]:
        return ""
    last = row["attempts"][-1]
    return words(str(last["http_status"]) if last["http_status"] else last["error"])


WALLETS = (
    Column("wallet", lambda row: short(row["name"])),
    Column("state", lambda row: state(row["state"])),
    Column("balance", lambda row: amount(row.get("balance")), right=True, rare=True),
    Column("held", lambda row: amount(row.get("held")), right=True, rare=True),
    Column("available", lambda row: amount(row.get("available")), right=True, rare=True),
    Column("overdraft", _overdraft, right=True, rare=True),
    Column("owner", lambda row: words(row["owner"])),
    Column("labels", labels, rare=True),
)

CURRENCIES = (
    Column("currency", lambda row: row["code"]),
    Column("decimals", lambda row: str(row["exponent"]), right=True),
    Column("new wallets", lambda row: "yes" if row["open_to_new_wallets"] else "no"),
)

TRANSACTIONS = (
    Column("transaction", lambda row: short(row["name"]) or "(validated only)"),
    Column("type", lambda row: row["type"].removeprefix("TYPE_")),
    Column("state", _reversed, rare=True),
    Column("from", lambda row: short(row["source"])),
    Column("to", lambda row: short(row["destination"])),
    Column("amount", lambda row: amount(row["amount"]), right=True),
    Column("commission", _commission, right=True, rare=True),
    Column("time", lambda row: time(row.get("execute_time"))),
)

ENTRIES = (
    Column("wallet", lambda row: short(row["wallet"])),
    Column("amount", lambda row: signed(row["amount"]), right=True),
    Column("balance after", lambda row: amount(row["balance_after"]), right=True),
    Column("number", lambda row: row["sequence"], right=True),
)


_HOW_MUCH = (
    Column("wallet", lambda row: short(row["wallet"])),
    Column("amount", lambda row: amount(row["amount"]), right=True),
)
_DUE = Column("due", lambda row: time(row.get("execute_time")))
_STATE = Column("state", lambda row: state(row["state"]))
_ATTEMPTS = Column("attempts", lambda row: str(row["attempts"] or ""), right=True, rare=True)
_OUTCOME = Column("outcome", _outcome, rare=True)

WITHDRAWALS = (
    Column("withdrawal", lambda row: short(row["name"]) or "(validated only)"),
    *_HOW_MUCH,
    Column("reserved", lambda row: "yes" if row["reserve"] else "", rare=True),
    _DUE,
    _STATE,
    _ATTEMPTS,
    _OUTCOME,
)

SCHEDULED_DEPOSITS = (
    Column("scheduled deposit", lambda row: short(row["name"]) or "(validated only)"),
    *_HOW_MUCH,
    Column("collect", lambda row: "yes" if row["collect"] else "no"),
    _DUE,
    _STATE,
    _ATTEMPTS,
    _OUTCOME,
)

# Both in one table, due at the same time.
PAYOUTS_AND_DEPOSITS = (
    Column("withdrawal or deposit", lambda row: short(row["name"])),
    Column("what", _kind),
    *_HOW_MUCH,
    _STATE,
    _OUTCOME,
)

ATTENTION = (
    Column("what", lambda row: state(row["kind"].removeprefix("KIND_"))),
    Column("about", lambda row: words(row["resource_name"])),
    Column("wallet", lambda row: short(row["wallet"]), rare=True),
    Column("amount", lambda row: amount(row["amount"]), right=True),
    Column("since", lambda row: time(row["since"])),
    Column("explanation", lambda row: words(row["explanation"])),
)

BANK_STATEMENT_LINES = (
    Column("line", lambda row: short(row["name"])),
    Column("kind", lambda row: words(row["kind"])),
    Column("key", lambda row: words(row["bank_key"])),
    Column("amount", lambda row: amount(row["amount"]), right=True),
    Column("explanation", lambda row: words(row["explanation"])),
    Column("resolution", lambda row: words(row["resolution"])),
)

BANK_STATEMENTS = (
    Column("statement", lambda row: short(row["name"]) or "(validated only)"),
    Column("accepted by", lambda row: words(row["accepted_by"])),
    Column("at", lambda row: time(row.get("accept_time"))),
    Column("reason", lambda row: words(row["reason"])),
)

HOLDS = (
    Column("hold", lambda row: short(row["name"]) or "(validated only)"),
    Column("wallet", lambda row: short(row["wallet"])),
    Column("amount", lambda row: amount(row["amount"]), right=True),
    Column("captured", lambda row: amount(row["captured_amount"]), right=True),
    Column("held now", lambda row: amount(row["remaining_amount"]), right=True),
    _STATE,
    Column("expires", lambda row: time(row["expire_time"])),
    Column("description", lambda row: words(row["description"]), rare=True),
)

RULES = (
    Column("rule", lambda row: short(row["name"]) or "(validated only)"),
    Column("takes", _takes),
    Column("of amounts above", lambda row: minor(row["threshold_minor_units"], row["currency_code"]), right=True),
    Column("paid by", _payer),
    Column("for", _scope),
    Column("from", lambda row: time(row.get("start_time"))),
    Column("until", lambda row: time(row.get("end_time")), rare=True),
)

WEBHOOKS = (
    Column("webhook", lambda row: short(row["name"]) or "(validated only)"),
    Column("state", lambda row: state(row["state"])),
    Column("url", lambda row: words(row["url"])),
    Column("types", lambda row: " ".join(one.removeprefix("TYPE_") for one in row["types"]), rare=True),
    Column("wallet", lambda row: short(row["wallet"]), rare=True),
    Column("owner", lambda row: words(row["owner"] or row["confined_to_owner"]), rare=True),
    Column("label", lambda row: _scope(row) if "label" in row else "", rare=True),
    Column("disabled because", lambda row: words(row["disabled_reason"]), rare=True),
)

DELIVERIES = (
    Column("delivery", lambda row: row["name"].rpartition("/")[2]),
    Column("state", lambda row: state(row["state"])),
    Column("event", lambda row: row["event_number"] if row["event_number"] != "0" else "", right=True, rare=True),
    Column("type", lambda row: row["type"].removeprefix("TYPE_") if row["resource"] else "PING"),
    Column("resource", lambda row: words(row["resource"]), rare=True),
    Column("attempts", lambda row: str(len(row["attempts"])), right=True),
    Column("last answer", _last_answer, rare=True),
    Column("next", lambda row: time(row.get("next_attempt_time")), rare=True),
)

QUOTES = (
    Column("commission", lambda row: _commission(row) or "none", right=True),
    Column("paid by", lambda row: _payer(row["commission"]) if "commission" in row else "", rare=True),
    Column("source pays", lambda row: amount(row["source_debit"]), right=True),
    Column("destination gets", lambda row: amount(row["destination_credit"]), right=True),
    Column("rule", lambda row: short(row["commission"]["rule"]) if "commission" in row else "", rare=True),
)

STATEMENT_TOTALS = (
    Column("type", lambda row: row["type"].removeprefix("TYPE_")),
    Column("entries", lambda row: row["count"], right=True),
    Column("credited", lambda row: amount(row["credited"]), right=True),
    Column("debited", lambda row: amount(row["debited"]), right=True),
)

STATEMENT_ENTRIES = (
    Column("number", lambda row: row["sequence"], right=True),
    Column("time", lambda row: time(row["execute_time"])),
    Column("type", lambda row: row["type"].removeprefix("TYPE_")),
    Column("with", lambda row: short(row["counterparty"])),
    Column("amount", lambda row: signed(row["amount"]), right=True),
    Column("balance", lambda row: amount(row["balance_after"]), right=True),
    Column("description", lambda row: words(row["description"]), rare=True),
    Column("reference", lambda row: words(row["external_reference"]), rare=True),
)
