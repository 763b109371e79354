"""Claims: the right to work on an order or a hold, committed before any work begins.

A claim locks no wallet and never waits: rows that another scheduler is claiming are skipped. It sets the lease and
raises the fence; a worker with an older fence can no longer change the state.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, LiteralString

from wallet_core.domain.model.hold import HoldClaim
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import Claim, OrderKind, OrderState
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.engine import Engine, transaction
from wallet_core.storage.errors import served
from wallet_core.storage.scheduling.rate_limit import BUCKET, KEPT, BankRateLimit

# Due and without a lease: scheduled orders (also where a worker died before it did anything), and orders that wait for
# another attempt. The clock is in a subquery, so that it is an index condition and not a filter.
TO_PAY: LiteralString = """
    state IN ('SCHEDULED', 'PROCESSING')
    AND next_attempt_time <= (SELECT clock_timestamp() + %(offset)s)
    AND (lease_until IS NULL OR (state = 'SCHEDULED' AND lease_until <= (SELECT clock_timestamp() + %(offset)s)))
"""
TO_COLLECT: LiteralString = f"collect AND {TO_PAY}"

# Due, and not collected from the bank.
TO_CREDIT: LiteralString = """
    NOT collect AND state = 'SCHEDULED'
    AND next_attempt_time <= (SELECT clock_timestamp() + %(offset)s)
    AND (lease_until IS NULL OR lease_until <= (SELECT clock_timestamp() + %(offset)s))
"""

# In doubt and due for a status request, or left by a worker whose lease has run out.
TO_RECONCILE: LiteralString = """
    state IN ('IN_DOUBT', 'PROCESSING')
    AND next_attempt_time <= (SELECT clock_timestamp() + %(offset)s)
    AND (lease_until <= (SELECT clock_timestamp() + %(offset)s) OR (state = 'IN_DOUBT' AND lease_until IS NULL))
"""
TO_RECONCILE_COLLECTIONS: LiteralString = f"collect AND {TO_RECONCILE}"

# Oldest due first; rows that another scheduler has locked are skipped.
_CLAIMED: LiteralString = """
due AS (
    SELECT id
    FROM {orders}
    WHERE {due}
    ORDER BY next_attempt_time, id
    LIMIT {limit}
    FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE {orders} AS o
    SET fence = fence + 1, lease_until = clock_timestamp() + %(offset)s + %(lease)s
    FROM due
    WHERE o.id = due.id
    RETURNING o.*
)"""
_READ: LiteralString = """claimed.id, claimed.fence, claimed.state, wallets.id, wallets.owner, wallets.currency,
    claimed.amount, claimed.bank_account"""
_IN_ORDER: LiteralString = "ORDER BY claimed.next_attempt_time, claimed.id"

_CLAIM: LiteralString = f"""
WITH {_CLAIMED.format(orders="{orders}", due="{due}", limit="%(limit)s")}
SELECT {_READ}
FROM claimed
JOIN wallets ON wallets.key = claimed.wallet
{_IN_ORDER}
"""

# No more orders than the rate limit allows now, each of which may take several calls. One may begin as soon as one call
# is left, and the bucket goes negative for the rest: work of two calls would otherwise starve behind work of one.
_CLAIM_WITHIN_RATE: LiteralString = f"""
WITH {BUCKET}, may AS MATERIALIZED (
    SELECT CASE WHEN calls >= 1 THEN least(%(limit)s, greatest(1, floor(calls / %(calls)s)))::bigint ELSE 0 END AS begin
    FROM bucket
), {_CLAIMED.format(orders="{orders}", due="{due}", limit="(SELECT begin FROM may)")}, taken AS (
    SELECT count(*) * %(calls)s AS calls FROM claimed
), {KEPT}
SELECT bucket.calls, {_READ}
FROM bucket
LEFT JOIN (claimed JOIN wallets ON wallets.key = claimed.wallet) ON true
{_IN_ORDER}
"""

CLAIM_TO_PAY = _CLAIM_WITHIN_RATE.format(orders="withdrawals", due=TO_PAY)
CLAIM_TO_RECONCILE = _CLAIM_WITHIN_RATE.format(orders="withdrawals", due=TO_RECONCILE)
CLAIM_TO_COLLECT = _CLAIM_WITHIN_RATE.format(orders="scheduled_deposits", due=TO_COLLECT)
CLAIM_TO_RECONCILE_COLLECTIONS = _CLAIM_WITHIN_RATE.format(orders="scheduled_deposits", due=TO_RECONCILE_COLLECTIONS)
CLAIM_TO_CREDIT = _CLAIM.format(orders="scheduled_deposits", due=TO_CREDIT)

# The longest expired first.
CLAIM_TO_EXPIRE: LiteralString = """
WITH due AS (
    SELECT id
    FROM holds
    WHERE state = 'ACTIVE'
        AND expire_time <= (SELECT clock_timestamp() + %(offset)s)
        AND (lease_until IS NULL OR lease_until <= (SELECT clock_timestamp() + %(offset)s))
    ORDER BY expire_time, id
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE holds
    SET fence = fence + 1, lease_until = clock_timestamp() + %(offset)s + %(lease)s
    FROM due
    WHERE holds.id = due.id
    RETURNING holds.*
)
SELECT claimed.id, wallets.id, claimed.fence
FROM claimed
JOIN wallets ON wallets.key = claimed.wallet
ORDER BY claimed.expire_time, claimed.id
"""

# Releases an unused claim, which may be claimed again after a wait.
_RELEASE: LiteralString = """
UPDATE {orders}
SET lease_until = NULL, next_attempt_time = clock_timestamp() + %s
WHERE id = %s AND fence = %s AND lease_until IS NOT NULL AND state IN ('SCHEDULED', 'IN_DOUBT')
"""

RELEASE = {
    OrderKind.WITHDRAWAL: _RELEASE.format(orders="withdrawals"),
    OrderKind.SCHEDULED_DEPOSIT: _RELEASE.format(orders="scheduled_deposits"),
}


# The most calls to the bank that a piece of work takes: a status request may be followed by a resend.
_TO_PAY, _TO_RECONCILE = 1, 2


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims on orders and holds: up to *limit* of them, the longest due first, without those that others have locked.

    Every method raises ``ServiceError`` where the database fails.
    """

    engine: Engine
    rate_limit: BankRateLimit

    def to_pay(self, *, limit: int, lease: timedelta, clock_offset: timedelta) -> list[Claim]:
        """Claim withdrawals that are due."""
        parameters = {"limit": limit, "lease": lease, "offset": clock_offset}
        return self._orders(OrderKind.WITHDRAWAL, CLAIM_TO_PAY, parameters, calls=_TO_PAY)

    def to_reconcile(self, *, limit: int, lease: timedelta, clock_offset: timedelta) -> list[Claim]:
        """Claim withdrawals that are in doubt, or whose worker was lost."""
        parameters = {"limit": limit, "lease": lease, "offset": clock_offset}
        return self._orders(OrderKind.WITHDRAWAL, CLAIM_TO_RECONCILE, parameters, calls=_TO_RECONCILE)

    def to_collect(self, *, limit: int, lease: timedelta, clock_offset: timedelta) -> list[Claim]:
        """Claim scheduled deposits that are to be collected."""
        parameters = {"limit": limit, "lease": lease, "offset": clock_offset}
        return self._orders(OrderKind.SCHEDULED_DEPOSIT, CLAIM_TO_COLLECT, parameters, calls=_TO_PAY)

    def to_reconcile_collections(self, *, limit: int, lease: timedelta, clock_offset: timedelta) -> list[Claim]:
        """Claim collections that are in doubt, or whose worker was lost."""
        parameters = {"limit": limit, "lease": lease, "offset": clock_offset}
        return self._orders(
            OrderKind.SCHEDULED_DEPOSIT, CLAIM_TO_RECONCILE_COLLECTIONS, parameters, calls=_TO_RECONCILE
        )

    def to_credit(self, *, limit: int, lease: timedelta, clock_offset: timedelta) -> list[Claim]:
        """Claim scheduled deposits that are due and not collected from the bank."""
        parameters = {"limit": limit, "lease": lease, "offset": clock_offset}
        return self._orders(OrderKind.SCHEDULED_DEPOSIT, CLAIM_TO_CREDIT, parameters, calls=0)

    def to_expire(self, *, limit: int, lease: timedelta, clock_offset: timedelta) -> list[HoldClaim]:
        """Claim holds that have expired."""
        rows = self._claim(CLAIM_TO_EXPIRE, {"limit": limit, "lease": lease, "offset": clock_offset})
        return [HoldClaim(hold=id_, wallet=WalletId(wallet), fence=fence) for id_, wallet, fence in rows]

    def release(self, claim: Claim, *, wait: timedelta) -> None:
        """Release a claim that could not be worked on, unless another worker has claimed the order since."""
        with served(), transaction(self.engine) as tx:
            tx.execute(RELEASE[claim.kind], [wait, claim.order, claim.fence])

    def _orders(
        self, kind: OrderKind, statement: LiteralString, parameters: dict[str, Any], *, calls: int
    ) -> list[Claim]:
        """Claim orders of a kind, within the rate limit where each takes *calls* to the bank."""
        rows = self._within_rate(statement, parameters, calls=calls) if calls else self._claim(statement, parameters)
        return [
            Claim(
                kind=kind,
                order=id_,
                fence=fence,
                state=OrderState(state),
                wallet=WalletId(wallet),
                owner=owner,
                amount=Money(currency, amount),
                bank_account=bank_account,
            )
            for id_, fence, state, wallet, owner, currency, amount, bank_account in rows
        ]

    def _claim(self, statement: LiteralString, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        with served(), transaction(self.engine) as tx:
            return tx.execute(statement, parameters).fetchall()

    def _within_rate(
        self, statement: LiteralString, parameters: dict[str, Any], *, calls: int
    ) -> list[tuple[Any, ...]]:
        taken = self.rate_limit.take(self.engine, statement, {**parameters, "calls": calls})
        rows = [row[1:] for row in taken]
        return [row for row in rows if row[0] is not None]
