"""Write the receipt of a transaction."""

from uuid import UUID

from wallet_core.domain.model.money import Money
from wallet_core.domain.model.receipt import Language, Receipt
from wallet_core.domain.model.transaction import Transaction, TransactionType, transaction_name
from wallet_core.usecases.app import App


def write_receipt(app: App, transaction: UUID, language: Language) -> bytes:
    """Return the receipt as PDF: of what never changes alone, so that it is the same whenever it is asked for."""
    found = app.reads.transaction(transaction)
    exponent = app.currencies.exponent_of(found.amount.currency)
    return app.documents.receipt(receipt_of(found, exponent), language)


def receipt_of(transaction: Transaction, exponent: int) -> Receipt:
    """Return what the receipt of a transaction says."""
    currency = transaction.amount.currency
    commission = transaction.commission
    reverses = transaction.cause if transaction.type is TransactionType.REVERSAL else None
    return Receipt(
        transaction=transaction.name,
        type=transaction.type,
        time=transaction.time,
        amount=transaction.amount,
        exponent=exponent,
        source=transaction.source,
        destination=transaction.destination,
        commission=commission.amount if commission is not None else None,
        source_debited=Money(currency, -transaction.added_to(transaction.source)),
        destination_credited=Money(currency, transaction.added_to(transaction.destination)),
        description=transaction.description,
        external_reference=transaction.external_reference,
        reverses=transaction_name(reverses) if reverses is not None else "",
        payer=commission.payer if commission is not None else None,
    )
