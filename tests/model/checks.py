"""What must hold between any two steps: the product's ledger equals the model's."""

from typing import Any

from tests.model.comparison import same
from tests.model.jobs import Jobs
from tests.model.product_facts import hold_facts, order_facts, rule_facts, transaction_facts, wallet_facts
from tests.model.records import ACTIVE, MOST, WITHDRAWAL
from tests.model.stored_facts import expected, expected_publications, learn_names, published_facts, stored
from wallet_core.bootstrap import verify
from wallet_core.domain.model.payment_order import OrderKind, bank_key
from wallet_core.domain.model.wallet import WalletId


class Checks(Jobs):
    """Comparisons of all that is stored, read and published with the model."""

    def look(self) -> None:
        """Check that what is stored equals the model, and that the invariants hold, independent of the model."""
        learn_names(self.owner, self.books)
        found = stored(self.owner)
        same(found, expected(self.books))
        totals: dict[str, int] = {}
        for name, facts in found.items():
            if name.startswith("wallets/"):
                currency, _, balance, held, available, *_ = facts
                totals[currency] = totals.get(currency, 0) + balance
                assert held >= 0
                assert name.startswith("wallets/system:external") or 0 <= available <= MOST
            if name.startswith("transactions/"):
                _, amount, fee, returned = facts
                assert 0 <= returned <= amount
                assert returned == 0 or fee >= 0
            if name.startswith("holds/") and facts[0] != ACTIVE:
                assert facts == self.ended.setdefault(name, facts)
        assert set(totals.values()) <= {0}

    def look_at_etags(self) -> None:
        """Check that they change with what they name, and with nothing else."""
        ours = [WalletId(name) for name in self.books.wallets if not name.startswith("system:")]
        for view in self.app.reads.wallets(ours):
            wallet_record, seen = self.books.wallets[view.id], self.etags.setdefault(view.id, [])
            if wallet_record.etag is None:
                assert view.etag not in seen
                wallet_record.etag = view.etag
                seen.append(view.etag)
            assert view.etag == wallet_record.etag

    def look_at_the_bank(self) -> None:
        """Check that nothing was paid twice, reported though not done, or released though done or possibly done."""
        for id_, order in self.books.orders.items():
            key = bank_key(OrderKind(order.kind), id_)
            assert self.bank.executed(key) <= 1
            if order.state == "SUCCEEDED" and (order.kind == WITHDRAWAL or order.collect):
                assert self.bank.executed(key) == 1
            if order.state in {"FAILED", "CANCELLED", "SCHEDULED"}:
                assert not self.bank.executed(key)
                assert not self.bank.may_execute(key)

    def read_everything(self) -> None:
        """Check that all that is listed, and all that is published, equals the model; and verify the ledger."""
        books, reads = self.books, self.app.reads
        page: dict[str, Any] = {"size": 1000, "before": None, "conditions": ()}
        for view in reads.wallets([WalletId(name) for name in books.wallets]):
            same(wallet_facts(view), books.wallet_facts(view.id))
        for name in map(WalletId, ("alice", "bob", "dora", "system:external:USD")):
            for moved in reads.list_transactions(name, **page).items:
                same(transaction_facts(moved), books.transaction_facts(moved.id))
        everywhere = {**page, "wallet": None}
        for hold in reads.list_holds(**everywhere).items:
            same(hold_facts(hold), books.hold_facts(hold.id))
        for order in (*reads.list_withdrawals(**everywhere).items, *reads.list_scheduled_deposits(**everywhere).items):
            same(order_facts(order), books.order_facts(order.id))
        for rule in reads.list_rules(**page).items:
            same(rule_facts(rule), books.rule_facts(rule.id))
        result = published_facts(self.owner)
        due = expected_publications(books)
        same({str(fact): result[fact] for fact in due}, {str(fact): count for fact, count in due.items()})
        assert [check for check in verify(self.config) if check.broken] == []
