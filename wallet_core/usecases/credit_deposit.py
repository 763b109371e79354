"""Credit one claimed scheduled deposit that is not collected from the bank."""

from time import monotonic

from wallet_core.domain.commands.payments.credit_deposit import CreditDeposit
from wallet_core.domain.model.errors import ServiceError, StaleClaim
from wallet_core.domain.model.payment_order import Claim, PaymentOrder
from wallet_core.usecases.app import App, new_id


def credit_deposit(app: App, claim: Claim) -> PaymentOrder | None:
    """Return the deposit as it is afterwards; None where the claim was lost.

    Raises ``ServiceError`` where the database failed: the claim is released, or its lease runs out.
    """
    try:
        deadline = monotonic() + app.payouts.send_window_s
        return app.ledger.post(CreditDeposit(id=new_id(), claim=claim), deadline).order
    except StaleClaim:
        return None
    except ServiceError:
        app.claims.release(claim, wait=app.payouts.policy.backoff_first)
        raise
