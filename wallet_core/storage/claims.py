"""Claims: the right to work on a withdrawal, stamped by the database and committed before any work begins.

A claim touches no wallet and waits for nobody: rows that another scheduler is claiming are skipped. It stamps the lease
and raises the fence; whoever still works under an older fence can no longer change the withdrawal's state.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString

from wallet_core.domain.money import Money
from wallet_core.domain.wallet import WalletId
from wallet_core.domain.withdrawal import Claim, WithdrawalState
from wallet_core.storage.engine import Engine, transaction
from wallet_core.storage.errors import BatchError

# Due and nobody's: scheduled ones whose time has come (or whose claimer died before it had done anything), and those
# that wait for another attempt. The clock stands in a subquery so that it is an index condition, not a filter.
TO_PAY: LiteralString = """
    state IN ('SCHEDULED', 'PROCESSING')
    AND next_attempt_time <= (SELECT clock_timestamp() + %(offset)s)
    AND (lease_until IS NULL OR (state = 'SCHEDULED' AND lease_until <= (SELECT clock_timestamp() + %(offset)s)))
"""

# In doubt and due to be asked about, or left behind by a worker whose lease has run out.
TO_RECONCILE: LiteralString = """
    state IN ('IN_DOUBT', 'PROCESSING')
    AND next_attempt_time <= (SELECT clock_timestamp() + %(offset)s)
    AND (lease_until <= (SELECT clock_timestamp() + %(offset)s) OR (state = 'IN_DOUBT' AND lease_until IS NULL))
"""

# Oldest due first; rows that another scheduler holds are skipped, not waited for.
_CLAIM: LiteralString = """
WITH due AS (
    SELECT id
    FROM withdrawals
    WHERE {due}
    ORDER BY next_attempt_time, id
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE withdrawals
    SET fence = fence + 1, lease_until = clock_timestamp() + %(offset)s + %(lease)s
    FROM due
    WHERE withdrawals.id = due.id
    RETURNING withdrawals.*
)
SELECT claimed.id, claimed.fence, claimed.state, wallets.id, wallets.owner, wallets.currency, claimed.amount,
    claimed.bank_account
FROM claimed
JOIN wallets ON wallets.key = claimed.wallet
ORDER BY claimed.next_attempt_time, claimed.id
"""

CLAIM_TO_PAY = _CLAIM.format(due=TO_PAY)
CLAIM_TO_RECONCILE = _CLAIM.format(due=TO_RECONCILE)

# Gives an unused claim back, to be taken again a little later.
RELEASE = """
UPDATE withdrawals
SET lease_until = NULL, next_attempt_time = clock_timestamp() + %s
WHERE id = %s AND fence = %s AND lease_until IS NOT NULL AND state IN ('SCHEDULED', 'IN_DOUBT')
"""


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims on withdrawals. Every method raises ``NotServed`` where the database fails."""

    engine: Engine

    def to_pay(self, *, limit: int, lease: timedelta, clock_offset: timedelta) -> list[Claim]:
        """Stamp lease and fence on up to *limit* withdrawals that are due, oldest first, skipping what others hold."""
        return self._claim(CLAIM_TO_PAY, limit=limit, lease=lease, clock_offset=clock_offset)

    def to_reconcile(self, *, limit: int, lease: timedelta, clock_offset: timedelta) -> list[Claim]:
        """Stamp lease and fence on up to *limit* withdrawals that are in doubt or left behind, oldest first."""
        return self._claim(CLAIM_TO_RECONCILE, limit=limit, lease=lease, clock_offset=clock_offset)

    def release(self, claim: Claim, *, wait: timedelta) -> None:
        """Give back a claim that could not be worked on; nothing happens if somebody else has taken it since."""
        with _served(), transaction(self.engine) as tx:
            tx.execute(RELEASE, [wait, claim.withdrawal, claim.fence])

    def _claim(self, statement: LiteralString, *, limit: int, lease: timedelta, clock_offset: timedelta) -> list[Claim]:
        with _served(), transaction(self.engine) as tx:
            rows = tx.execute(statement, {"limit": limit, "lease": lease, "offset": clock_offset}).fetchall()
        return [
            Claim(
                withdrawal=id_,
                fence=fence,
                state=WithdrawalState(state),
                wallet=WalletId(wallet),
                owner=owner,
                amount=Money(currency, amount),
                bank_account=bank_account,
            )
            for id_, fence, state, wallet, owner, currency, amount, bank_account in rows
        ]


@contextmanager
def _served() -> Iterator[None]:
    try:
        yield
    except BatchError as error:
        raise error.told from error
