"""Write the receipt of a transaction."""

from uuid import UUID

from wallet_core.domain.model.money import Money
from wallet_core.domain.model.receipt import Language, Receipt
from wallet_core.domain.model.transaction import Transaction, TransactionType, transaction_name
from wallet_core.usecases.app import App


def write_receipt(app: App, transaction: UUID, language: Language) -> bytes:
    """Return the receipt as PDF. It shows only what never changes, so it is the same at any time."""
    found = app.reads.transaction(transaction)
    exponent = app.currencies.exponent_of(found.movement.amount.currency)
    return app.documents.receipt(receipt_of(found, exponent), language)


def receipt_of(transaction: Transaction, exponent: int) -> Receipt:
    """Return the content of a transaction's receipt."""
    moved = transaction.movement
    currency = moved.amount.currency
    commission = moved.commission
    reverses = moved.cause if moved.type is TransactionType.REVERSAL else None
    return Receipt(
        transaction=transaction.name,
        type=moved.type,
        time=transaction.time,
        amount=moved.amount,
        exponent=exponent,
        source=moved.source,
        destination=moved.destination,
        commission=commission.amount if commission is not None else None,
        source_debited=Money(currency, -transaction.added_to(moved.source)),
        destination_credited=Money(currency, transaction.added_to(moved.destination)),
        description=moved.details.description,
        external_reference=moved.details.external_reference,
        reverses=transaction_name(reverses) if reverses is not None else "",
        payer=commission.payer if commission is not None else None,
    )
