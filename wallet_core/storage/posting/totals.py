"""Totals of a wallet's entries by type, at every thousandth entry: written once, with the entry that completes it.

A statement over a million entries is the difference of two of them and the few hundred entries around its ends.
"""

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.storage.connections.engine import Tx

EVERY = 1000

# The totals a thousand entries before, and the entries since.
INSERT_TOTALS = """
INSERT INTO entry_totals (wallet, sequence, type, count, credited, debited)
SELECT %(wallet)s, %(sequence)s, type, sum(count), sum(credited), sum(debited)
FROM (
    SELECT type, count, credited, debited
    FROM entry_totals
    WHERE wallet = %(wallet)s AND sequence = %(sequence)s - 1000
    UNION ALL
    SELECT type, count(*), sum(greatest(amount, 0)), -sum(least(amount, 0))
    FROM entries
    WHERE wallet = %(wallet)s AND sequence > %(sequence)s - 1000 AND sequence <= %(sequence)s
    GROUP BY type
) AS parts
GROUP BY type
"""


def store_totals(tx: Tx, ledger: LedgerState) -> None:
    """Write the totals that the entries of this batch have completed."""
    for id_, sequence in ledger.pending.touched.items():
        wallet = ledger.wallets[id_]
        for thousand in range(sequence // EVERY + 1, wallet.sequence // EVERY + 1):
            tx.execute(INSERT_TOTALS, {"wallet": wallet.key, "sequence": thousand * EVERY})
