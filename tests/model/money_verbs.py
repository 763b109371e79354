"""What the verbs of wallets, transfers and reversals do to the model's ledger."""

from fractions import Fraction
from math import floor
from uuid import UUID

from tests.model.ledger import LedgerState, labels_of, simple_legs
from tests.model.records import (
    ACTIVE,
    CLOSED,
    DESTINATION,
    FROZEN,
    MOST,
    OPEN,
    SOURCE,
    Fee,
    Refused,
    TransactionRecord,
    WalletRecord,
)
from tests.model.validation import by_operations
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.transfers.transfer import Transfer, TransferTerms
from wallet_core.domain.commands.wallets.change_wallet import (
    ChangeWallet,
    CloseWallet,
    FreezeWallet,
    UnfreezeWallet,
    UpdateWallet,
)
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet

# The placeholder of an open item's name: the documents do not define which of several is named.
STILL_OPEN = "… is still open"


# Wallets.


def create_wallet(books: LedgerState, command: CreateWallet) -> tuple[str, None]:
    """Open a wallet."""
    if command.id in books.wallets:
        raise Refused("ResourceExists", resource=f"wallets/{command.id}")
    books.open_systems(command.currency)
    books.wallets[command.id] = WalletRecord(
        currency=command.currency,
        limit=command.overdraft_limit,
        labels=labels_of(command.labels),
        title=command.display_name,
    )
    return f"wallets/{command.id}", None


def change_wallet(books: LedgerState, command: ChangeWallet) -> tuple[str, None]:
    """Update, freeze, unfreeze or close a wallet."""
    name = command.wallet
    wallet_record = books.wallet(name)
    if command.etag and command.etag != wallet_record.etag:
        raise Refused("EtagMismatch", resource=f"wallets/{name}")
    match command:
        case UpdateWallet():
            _update_wallet(books, command, wallet_record)
        case FreezeWallet():
            _change_state(
                name, wallet_record, before=ACTIVE, after=FROZEN, because="only an active wallet can be frozen"
            )
        case UnfreezeWallet():
            _change_state(
                name, wallet_record, before=FROZEN, after=ACTIVE, because="only a frozen wallet can be unfrozen"
            )
        case CloseWallet():
            _close_wallet(books, name, wallet_record)
    wallet_record.etag = None
    return f"wallets/{name}", None


def _update_wallet(books: LedgerState, command: UpdateWallet, wallet_record: WalletRecord) -> None:
    name = command.wallet
    if wallet_record.state == CLOSED:
        raise Refused("WalletNotActive", resource=f"wallets/{name}", state=wallet_record.state)
    limit = 0 if command.clear_overdraft_limit else wallet_record.limit
    if command.overdraft_limit is not None:
        if command.overdraft_limit.currency != wallet_record.currency:
            raise Refused("CurrencyMismatch", resource=f"wallets/{name}", currency=wallet_record.currency)
        limit = command.overdraft_limit.minor
    used = books.held(name) - wallet_record.balance
    if limit < used:
        raise Refused("LimitExceeded", resource=f"wallets/{name}", limit=used)
    if limit + wallet_record.balance > MOST:
        raise Refused("LimitExceeded", resource=f"wallets/{name}", limit=MOST)
    wallet_record.limit = limit
    if command.labels is not None:
        wallet_record.labels = labels_of(command.labels)
    if command.display_name is not None:
        wallet_record.title = command.display_name


def _change_state(name: str, wallet_record: WalletRecord, *, before: str, after: str, because: str) -> None:
    if wallet_record.state != before:
        raise Refused(
            "StateTransitionForbidden", resource=f"wallets/{name}", state=wallet_record.state, because=because
        )
    wallet_record.state = after


def _close_wallet(books: LedgerState, name: str, wallet_record: WalletRecord) -> None:
    why = ""
    if wallet_record.state == CLOSED:
        why = "the wallet is closed"
    elif wallet_record.balance:
        why = "the balance is not zero"
    elif open_item_in(books, name):
        why = STILL_OPEN
    if why:
        raise Refused("StateTransitionForbidden", resource=f"wallets/{name}", state=wallet_record.state, because=why)
    wallet_record.state = CLOSED


def open_item_in(books: LedgerState, name: str, *, ever: bool = False) -> set[str]:
    """Return the names of all that is not final in a wallet, or that ever was in it."""
    holds = {f"holds/{id_}": one.state == ACTIVE for id_, one in books.holds.items() if one.wallet == name}
    orders_ = {f"{one.kind}/{id_}": one.state in OPEN for id_, one in books.orders.items() if one.wallet == name}
    return {name for name, open_ in (holds | orders_).items() if open_ or ever}


# Money.


def deposit(books: LedgerState, command: Deposit) -> tuple[str, str]:
    """Deposit into a wallet."""
    books.credit_wallet(command.wallet, command.amount.currency)
    outside = f"system:external:{command.amount.currency}"
    post(books, command.id, "DEPOSIT", outside, command.wallet, command.amount.minor)
    return f"transactions/{command.id}", command.wallet


def post(  # noqa: PLR0913, PLR0917  # what a movement is made of
    books: LedgerState, id_: UUID, kind: str, source: str, destination: str, amount: int, cause: UUID | None = None
) -> None:
    """Post a transaction without commission."""
    legs = simple_legs(source, destination, amount)
    books.post(
        TransactionRecord(
            id=id_, kind=kind, source=source, destination=destination, amount=amount, legs=legs, cause=cause
        )
    )


def transfer(books: LedgerState, command: Transfer) -> tuple[str, str]:
    """Transfer between two wallets."""
    _transfer_between(books, command)
    return f"transactions/{command.id}", command.source


def _transfer_between(books: LedgerState, terms: TransferTerms) -> None:
    source, destination, amount = terms.source, terms.destination, terms.amount.minor
    books.debit_wallet(source, terms.amount.currency)
    books.credit_wallet(destination, terms.amount.currency)
    fee = books.fee(amount, source, destination)
    if fee is not None and terms.max_commission is not None and fee.amount > terms.max_commission.minor:
        raise Refused("LimitExceeded", resource=f"commissionRules/{fee.rule}", limit=terms.max_commission.minor)
    legs = simple_legs(source, destination, amount)
    if fee is not None:
        legs[source if fee.payer == SOURCE else destination] -= fee.amount
        legs[f"system:commission:{terms.amount.currency}"] = fee.amount
    books.post(
        TransactionRecord(
            id=terms.id, kind="TRANSFER", source=source, destination=destination, amount=amount, fee=fee, legs=legs
        )
    )


def batch_transfer(books: LedgerState, command: BatchTransfer) -> tuple[str, None]:
    """Transfer between pairs of wallets, all or none."""
    before = {name: wallet_record.balance for name, wallet_record in books.wallets.items()}
    for place, item in enumerate(command.items):
        try:
            _transfer_between(books, item)
        except Refused as no:
            for name, balance in before.items():
                books.wallets[name].balance = balance
            for done in command.items[:place]:
                del books.transactions[done.id]
            raise Refused(no.reason, **no.about, item=place) from None
    books.batches[command.id] = [item.id for item in command.items]
    return f"batches/{command.id}", None


def reverse(books: LedgerState, command: ReverseTransaction) -> tuple[str, None]:
    """Reverse a transaction, whole or in part."""
    id_ = command.transaction
    name = f"transactions/{id_}"
    if id_ not in books.transactions:
        raise Refused("ResourceNotFound", resource=name)
    first = books.transactions[id_]
    currency = command.amount.currency if command.amount is not None else books.wallets[first.source].currency
    books.debit_wallet(first.destination, currency, *([FROZEN] if by_operations(command) else []))
    books.credit_wallet(first.source, currency)
    left = first.amount - first.returned
    state = "POSTED" if not first.returned else "PARTIALLY_REVERSED" if left else "REVERSED"
    if first.kind not in {"TRANSFER", "DEPOSIT"}:
        why = "only transfers and deposits can be reversed"
        raise Refused("StateTransitionForbidden", resource=name, state=state, because=why)
    if not left:
        why = "all of it was reversed already"
        raise Refused("StateTransitionForbidden", resource=name, state=state, because=why)
    amount = command.amount.minor if command.amount is not None else left
    if amount > left:
        raise Refused("LimitExceeded", resource=name, limit=left)
    _reverse_amount(books, command, first, amount)
    return f"transactions/{command.id}", None


def _reverse_amount(books: LedgerState, command: ReverseTransaction, first: TransactionRecord, amount: int) -> None:
    legs = simple_legs(first.destination, first.source, amount)
    fee, share = None, 0
    if first.fee is not None:
        # This much of the whole commission belongs to what will have gone back, rounded down.
        due = floor(Fraction(first.fee.amount * (first.returned + amount), first.amount))
        share = due - first.fee_returned - first.fee_kept
        if not command.keep_commission:
            legs[first.source if first.fee.payer == SOURCE else first.destination] += share
            legs[f"system:commission:{books.wallets[first.source].currency}"] = -share
            other = DESTINATION if first.fee.payer == SOURCE else SOURCE
            fee = Fee(amount=-share, payer=other, rule=first.fee.rule)
    books.post(
        TransactionRecord(
            id=command.id,
            kind="REVERSAL",
            source=first.destination,
            destination=first.source,
            amount=amount,
            fee=fee,
            legs=legs,
            cause=command.transaction,
        )
    )
    first.returned += amount
    if command.keep_commission:
        first.fee_kept += share
    else:
        first.fee_returned += share
