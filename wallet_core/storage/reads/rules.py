"""Commission rules."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from wallet_core.domain.model.commission_rule import CommissionRule, rule_name
from wallet_core.domain.model.errors import ResourceNotFound
from wallet_core.domain.queries.filter import Condition
from wallet_core.domain.queries.lists import RULE_FIELDS, Page
from wallet_core.storage.connections.reader import Reader
from wallet_core.storage.posting.rules import RULES, rule_of
from wallet_core.storage.reads.pages import Place
from wallet_core.storage.reads.payment_orders import page_by_create_time

# A rule without an end applies for ever.
_COLUMNS = {name: f"o.{name}" for name in RULE_FIELDS} | {
    "currency_code": "o.currency",
    "wallet": "coalesce('wallets/' || wallets.id, '')",
    "end_time": "coalesce(o.end_time, 'infinity')",
}


class RuleReads(Reader):
    """Reads of commission rules."""

    def rule(self, rule: UUID) -> CommissionRule:
        """Return one rule."""
        found = self.read(lambda tx: _rules(tx, [rule]))
        if not found:
            raise ResourceNotFound(rule_name(rule))
        return found[0]

    def list_rules(self, *, size: int, before: Place | None, conditions: Sequence[Condition]) -> Page[CommissionRule]:
        """Return rules, ended ones too, newest first, from below the create time and id *before*."""

        def read(tx: Connection) -> Page[CommissionRule]:
            page = page_by_create_time(
                tx,
                "commission_rules",
                _COLUMNS,
                wallet=None,
                size=size,
                before=before,
                conditions=conditions,
                joins="LEFT JOIN wallets ON wallets.key = o.wallet",
            )
            return page.showing(_rules(tx, [row[0] for row in page.items]))

        return self.read(read)


def _rules(tx: Connection, ids: Sequence[UUID]) -> list[CommissionRule]:
    found = {row[0]: rule_of(row) for row in tx.exec_driver_sql(RULES, (list(ids),))}
    return [found[id_] for id_ in ids if id_ in found]
