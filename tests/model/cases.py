"""For every verb, every case in which it is refused, and some in which it is not."""

from tests.model.case import Case
from tests.model.hold_cases import HOLD_CASES
from tests.model.order_cases import ORDER_CASES
from tests.model.rule_cases import RULE_CASES
from tests.model.transfer_cases import TRANSFER_CASES
from tests.model.wallet_cases import WALLET_CASES
from tests.model.webhook_cases import WEBHOOK_CASES

CASES: dict[str, list[Case]] = {
    **WALLET_CASES,
    **TRANSFER_CASES,
    **HOLD_CASES,
    **ORDER_CASES,
    **RULE_CASES,
    **WEBHOOK_CASES,
}
