"""The calls of CommissionService."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property

from wallet.v1 import commission_service_pb2 as pb
from wallet.v1 import commission_service_pb2_grpc as grpc_pb

from wallet_client.sync.calls import PAGE, Calls
from wallet_client.values import Amount, Payer, new_request_id, timestamp


class CommissionCalls(Calls):
    """What is taken for moving money."""

    @cached_property
    def _commissions(self) -> grpc_pb.CommissionServiceStub:
        return grpc_pb.CommissionServiceStub(self._channel)

    def create_commission_rule(
        self,
        currency_code: str,
        payer: Payer,
        *,
        threshold_minor_units: int = 0,
        rate_millionths: int = 0,
        fixed_minor_units: int = 0,
        minimum_minor_units: int = 0,
        maximum_minor_units: int | None = None,
        wallet: str | None = None,
        label: tuple[str, str] | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.CreateCommissionRuleResponse:
        """Create a rule for amounts above the threshold; of a wallet, of those with a label, or of all in the currency.

        A rate of 15000 is 1.5 %. Without times the rule is for now and ever.
        """
        if wallet is not None and label is not None:
            raise ValueError("a rule is for a wallet or for a label, not for both")
        rule = pb.CommissionRule(
            currency_code=currency_code,
            payer=payer.value,
            threshold_minor_units=threshold_minor_units,
            rate_millionths=rate_millionths,
            fixed_minor_units=fixed_minor_units,
            minimum_minor_units=minimum_minor_units,
            maximum_minor_units=maximum_minor_units,
            label=pb.Label(key=label[0], value=label[1]) if label is not None else None,
            start_time=timestamp(start_time),
            end_time=timestamp(end_time),
        )
        if wallet is not None:
            rule.wallet = wallet
        return self._change(
            self._commissions.CreateCommissionRule,
            pb.CreateCommissionRuleRequest(
                rule=rule, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    def get_commission_rule(self, name: str) -> pb.CommissionRule:
        """Return one rule."""
        answer = self._read(self._commissions.GetCommissionRule, pb.GetCommissionRuleRequest(name=name))
        return answer.rule

    def list_commission_rules(
        self,
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> Iterator[pb.CommissionRule]:
        """Go through the rules that fit the filter, newest first, page by page."""
        request = pb.ListCommissionRulesRequest(filter=filter, page_size=page_size)
        for page in self._pages(self._commissions.ListCommissionRules, request):
            yield from page.rules

    def end_commission_rule(
        self,
        name: str,
        *,
        end_time: datetime | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.EndCommissionRuleResponse:
        """End a rule, now or at a time to come."""
        return self._change(
            self._commissions.EndCommissionRule,
            pb.EndCommissionRuleRequest(
                name=name,
                end_time=timestamp(end_time),
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    def quote_commission(self, source: str, destination: str, amount: Amount) -> pb.QuoteCommissionResponse:
        """Say what a transfer would cost now."""
        request = pb.QuoteCommissionRequest(source=source, destination=destination, amount=amount.message())
        return self._read(self._commissions.QuoteCommission, request)
