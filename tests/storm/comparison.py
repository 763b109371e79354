"""Compares the ledgers: the callers' answers, ours, and the bank's. Every finding is a fault."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from wallet.v1.hold_service_pb2 import Hold
from wallet.v1.schedule_service_pb2 import Withdrawal
from wallet.v1.transaction_service_pb2 import Transaction

from tests.storm.bank import Line
from tests.storm.books import LedgerState
from tests.storm.journal import Call, Done, Journal, all_done
from tests.storm.orders import is_the_banks, order_key, state_of
from tests.storm.plan import Verb
from wallet_core.settings.bank import PayoutSettings
from walletctl import typed

_MOVING = (Verb.DEPOSIT, Verb.TRANSFER, Verb.REVERSE, Verb.CAPTURE_HOLD)
_SCHEDULING = (Verb.WITHDRAW, Verb.SCHEDULE_DEPOSIT)
_CANCELLING = (Verb.CANCEL_WITHDRAWAL, Verb.CANCEL_DEPOSIT)
_TYPES = {
    Verb.DEPOSIT: Transaction.TYPE_DEPOSIT,
    Verb.TRANSFER: Transaction.TYPE_TRANSFER,
    Verb.REVERSE: Transaction.TYPE_REVERSAL,
    Verb.CAPTURE_HOLD: Transaction.TYPE_HOLD_CAPTURE,
}
# Attempts, and resends of what the bank did not know.
_ATTEMPTS_MAX: int = sum(PayoutSettings.model_fields[f"{name}_max"].default for name in ("attempts", "resends"))


def findings(journals: list[Journal], books: LedgerState) -> Iterator[str]:
    """Yield everything in which the ledger disagree."""
    for journal in journals:
        yield from journal.wrong
        yield from (f"{call} has no definite outcome" for call in journal.open())
    yield from (f"the rule {rule!r} of the books is broken" for rule in books.broken_rules)
    yield from _acknowledged_and_stored(journals, books)
    yield from _stored_and_acknowledged(journals, books)
    yield from _holds(journals, books)
    yield from _orders(journals, books)
    yield from _bank(books)
    yield from _balances(journals, books)


def expected_balances(journals: list[Journal], books: LedgerState) -> Mapping[str, int]:
    """Return each wallet's balance as it follows from the callers' answers and from what the bank did; by its name."""
    balances: defaultdict[str, int] = defaultdict(int)
    for _, done in all_done(journals, *_MOVING):
        for wallet, minor in done.legs:
            balances[wallet] += minor
    for wallet, minor, currency in _moved_by_orders(books):
        balances[wallet] += minor
        balances[f"wallets/system:external:{currency}"] -= minor
    return balances


def _moved_by_orders(books: LedgerState) -> Iterator[tuple[str, int, str]]:
    """Yield what orders brought a wallet, or took from it: by the bank's own records, where the bank is called."""
    by_key = {order_key(order): order for order in books.orders.values()}
    for line in books.lines:
        if line.key in by_key:
            yield by_key[line.key].wallet, line.amount if line.kind == "collection" else -line.amount, line.currency
    for deposit in books.scheduled_deposits:
        if not deposit.collect and state_of(deposit) == "SUCCEEDED":
            yield deposit.wallet, deposit.amount.minor_units, deposit.amount.currency_code


def _acknowledged_and_stored(journals: list[Journal], books: LedgerState) -> Iterator[str]:
    """Yield what was acknowledged and is lost, or changed, or returned to two calls."""
    result: Counter[str] = Counter()
    for call, done in all_done(journals, *_MOVING, *_SCHEDULING, Verb.PLACE_HOLD):
        result[done.name] += 1
        found = books.transactions.get(done.name) or books.holds.get(done.name) or books.orders.get(done.name)
        if found is None:
            yield f"{call} was done, and {done.name} is lost"
        elif found.amount.minor_units != done.amount:
            yield f"{call} was done with {done.amount}, and {done.name} has {found.amount.minor_units}"
        elif isinstance(found, Transaction):
            yield from _as_acknowledged(call, done, found)
        elif found.wallet != call.wallet:
            yield f"{call} was for {call.wallet}, and {done.name} is for {found.wallet}"
    yield from (f"{name} was returned to {times} calls" for name, times in result.items() if times > 1)


def _as_acknowledged(call: Call, done: Done, found: Transaction) -> Iterator[str]:
    legs = tuple((entry.wallet, entry.amount.minor_units) for entry in found.entries)
    if found.type != _TYPES[call.verb] or legs != done.legs:
        yield f"{call} was answered with {done.legs}, and {done.name} is {Transaction.Type.Name(found.type)} {legs}"
    about = found.hold or found.reverses
    if about != call.about:
        yield f"{call} was about {call.about}, and {done.name} is about {about}"


def _stored_and_acknowledged(journals: list[Journal], books: LedgerState) -> Iterator[str]:
    """Yield what is in the ledger without an acknowledgement and without an order that caused it."""
    found = {done.name for _, done in all_done(journals)}
    for name, transaction in books.transactions.items():
        if name not in found and not (transaction.withdrawal or transaction.scheduled_deposit):
            yield f"{name}, a {Transaction.Type.Name(transaction.type)}, is in the ledger without an acknowledgement"
    for name in [*books.holds, *books.orders]:
        if name not in found:
            yield f"{name} is in the ledger without an acknowledgement"


def _holds(journals: list[Journal], books: LedgerState) -> Iterator[str]:
    """Yield holds that are not captured as acknowledged, or not in the state that their calls and their time cause."""
    captured: defaultdict[str, int] = defaultdict(int)
    ended: dict[str, Hold.State.ValueType] = {}
    for call, done in all_done(journals, Verb.CAPTURE_HOLD, Verb.VOID_HOLD):
        if call.verb is Verb.VOID_HOLD:
            ended[call.about] = Hold.STATE_VOIDED
            continue
        captured[call.about] += done.amount
        if call.step.flag:
            ended[call.about] = Hold.STATE_CAPTURED
    for name, hold in books.holds.items():
        state = ended.get(name)
        if state is None and captured[name] == hold.amount.minor_units:
            state = Hold.STATE_CAPTURED
        if state is None:
            over = hold.expire_time.seconds < typed.now().timestamp()
            state = Hold.STATE_EXPIRED if over else Hold.STATE_ACTIVE
        if (hold.state, hold.captured_amount.minor_units) != (state, captured[name]):
            wanted = f"{Hold.State.Name(state)}, captured {captured[name]}"
            yield f"{name} should be {wanted}, and is {Hold.State.Name(hold.state)} {hold.captured_amount.minor_units}"


def _orders(journals: list[Journal], books: LedgerState) -> Iterator[str]:
    """Yield what was cancelled and is not, or is and never was; and what was reserved for an order and not there."""
    cancelled = {call.about for call, _ in all_done(journals, *_CANCELLING)}
    for call, done in all_done(journals, *_SCHEDULING):
        order = books.orders.get(done.name)
        if order is None:
            continue  # reported by another check
        shown = f"{call}: {order.name} is {state_of(order)}"
        if (state_of(order) == "CANCELLED") != (order.name in cancelled):
            yield f"{shown}, and its cancelling was {'' if order.name in cancelled else 'never '}acknowledged"
        flag = order.reserve if isinstance(order, Withdrawal) else order.collect
        if flag != call.step.flag:
            yield f"{shown}, and was not asked for so: reserve or collect is {flag}"
        broke = Withdrawal.FAILURE_REASON_INSUFFICIENT_FUNDS
        if isinstance(order, Withdrawal) and order.reserve and order.failure_reason == broke:
            yield f"{shown} for want of money that was reserved for it"


def _bank(books: LedgerState) -> Iterator[str]:
    """Yield what the bank executed twice, or otherwise than our ledger has it, or without a call."""
    executed: defaultdict[str, list[Line]] = defaultdict(list)
    for line in books.lines:
        executed[line.key].append(line)
    orders_of_the_bank = {order_key(order): order for order in books.orders.values() if is_the_banks(order)}
    yield from (
        f"the bank executed {key}, which was never requested" for key in executed.keys() - orders_of_the_bank.keys()
    )
    yield from (
        f"the bank was called for {key}, which is not in the ledger"
        for key in books.asked.keys() - orders_of_the_bank.keys()
    )
    for key, order in orders_of_the_bank.items():
        lines, times = executed[key], books.asked.get(key, 0)
        shown = f"{order.name} is {state_of(order)} after {order.attempts} attempts"
        if len(lines) > 1:
            yield f"{shown}, and the bank executed it {len(lines)} times"
        if bool(lines) != (state_of(order) == "SUCCEEDED"):
            yield f"{shown}, and the bank executed it {len(lines)} times"
        if times > order.attempts or order.attempts > _ATTEMPTS_MAX:
            yield f"{shown}, and the bank was asked {times} times; it may be {_ATTEMPTS_MAX}"
        for line in lines:
            kind = "execution" if isinstance(order, Withdrawal) else "collection"
            ours = (kind, order.amount.minor_units, order.amount.currency_code)
            if (line.kind, line.amount, line.currency) != ours:
                yield f"{shown} with {ours}, and the bank has {line}"
            if order.bank_reference not in {line.reference, key}:
                yield f"{shown} with the reference {order.bank_reference}, and the bank has {line.reference}"


def _balances(journals: list[Journal], books: LedgerState) -> Iterator[str]:
    """Yield wallets, system wallets too, whose balance does not follow from the answers; sums must be zero."""
    expected = expected_balances(journals, books)
    sums: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for hold in books.holds.values():
        held[hold.wallet] += hold.remaining_amount.minor_units
    for order in books.withdrawals:
        if order.reserve and state_of(order) == "SCHEDULED":
            held[order.wallet] += order.amount.minor_units
    for name, wallet in books.wallets.items():
        balance = wallet.balance.minor_units
        sums[wallet.currency_code] += balance
        if balance != expected[name]:
            yield f"{name} has {balance}, and {expected[name]} follows from the answers and from what the bank did"
        if wallet.held.minor_units != held[name]:
            yield f"{name} holds {wallet.held.minor_units}, and {held[name]} follows from its holds and orders"
    yield from (f"all wallets in {currency} sum to {total}" for currency, total in sums.items() if total != 0)
