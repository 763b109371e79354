"""Commission: create and end rules, and quote what a transfer would be charged."""

from dataclasses import dataclass
from uuid import UUID

from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule, EndCommissionRule
from wallet_core.domain.commands.transfers.transfer import TransferTerms
from wallet_core.domain.model.access import Access
from wallet_core.domain.model.commission_rule import Commission, CommissionRule, Side, commission_on
from wallet_core.domain.model.errors import CurrencyMismatch, ResourceNotFound
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import Movement, TransactionType
from wallet_core.domain.model.wallet import wallet_name
from wallet_core.usecases.app import App


@dataclass(frozen=True, slots=True)
class RuleChanged:
    """The rule as it is now."""

    rule: CommissionRule
    replayed: bool


@dataclass(frozen=True, slots=True)
class Quote:
    """What a transfer would move now."""

    commission: Commission | None
    source_debit: Money
    destination_credit: Money


def change_rule(
    app: App, command: CreateCommissionRule | EndCommissionRule, deadline: float | None = None
) -> RuleChanged:
    """Create or end a rule; a repeat returns the rule of the first call, as it is now."""
    done = app.ledger.post(command, deadline)
    rule = done.rule or app.reads.rule(UUID(done.subject.removeprefix("commissionRules/")))
    return RuleChanged(rule, done.replayed)


def quote_commission(app: App, terms: TransferTerms) -> Quote:
    """Return what a transfer would be charged by the present rules; nothing moves."""
    terms.require_access(Access(rights=frozenset()))
    now, found, rules = app.reads.commission_terms(terms.source, terms.destination, terms.amount.currency)
    for id_ in (terms.source, terms.destination):
        if id_ not in found:
            raise ResourceNotFound(wallet_name(id_))
        if found[id_].currency != terms.amount.currency:
            raise CurrencyMismatch(wallet_name(id_), found[id_].currency)
    source, destination = found[terms.source], found[terms.destination]
    commission = commission_on(
        terms.amount, Side(source.id, source.labels), Side(destination.id, destination.labels), rules, now
    )
    movement = Movement(
        id=terms.id,
        type=TransactionType.TRANSFER,
        amount=terms.amount,
        source=terms.source,
        destination=terms.destination,
        commission=commission,
    )
    added = {leg.wallet: leg.amount for leg in movement.legs}
    return Quote(
        commission,
        source_debit=Money(terms.amount.currency, -added[terms.source]),
        destination_credit=Money(terms.amount.currency, added.get(terms.destination, 0)),
    )
