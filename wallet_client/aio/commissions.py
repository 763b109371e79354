"""The calls of CommissionService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from functools import cached_property

from wallet.v1 import commission_service_pb2 as pb
from wallet.v1 import commission_service_pb2_grpc as grpc_pb

from wallet_client.aio.calls import PAGE, Calls
from wallet_client.values import Amount, Payer, new_request_id, timestamp


class CommissionCalls(Calls):
    """Commission rules."""

    @cached_property
    def _commissions(self) -> grpc_pb.CommissionServiceAsyncStub:
        return grpc_pb.CommissionServiceStub(self._channel)

    async def create_commission_rule(
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
        """Create a commission rule for one wallet, for wallets with a label, or for all of a currency.

        Args:
            currency_code: the ISO 4217 code.
            payer: the wallet that pays.
            threshold_minor_units: the rule applies to amounts above it.
            rate_millionths: the rate: 15000 is 1.5 %.
            fixed_minor_units: the fixed part.
            minimum_minor_units: the smallest commission.
            maximum_minor_units: the largest commission; None: no maximum.
            wallet: for this wallet only, ``wallets/{wallet}``.
            label: for wallets with this key and value.
            start_time: when it comes into force, with a time zone; None: now.
            end_time: when it ends, with a time zone; None: never.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the created rule.

        Raises:
            CallFailed: nothing was done, e.g. ``INVALID_FIELDS``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.
            ValueError: a time has no time zone, or both *wallet* and *label* are given.

        Example:
            >>> await client.create_commission_rule("USD", Payer.SOURCE, rate_millionths=15000)  # 1.5 %
        """
        if wallet is not None and label is not None:
            raise ValueError("a rule is for a wallet or for a label, not for both: nothing was sent")
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
        return await self._change(
            self._commissions.CreateCommissionRule,
            pb.CreateCommissionRuleRequest(
                rule=rule, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    async def get_commission_rule(self, name: str) -> pb.CommissionRule:
        """Return one commission rule.

        Args:
            name: the rule, ``commissionRules/{rule}``.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.

        Example:
            >>> await client.get_commission_rule(name)
        """
        response = await self._read(self._commissions.GetCommissionRule, pb.GetCommissionRuleRequest(name=name))
        return response.rule

    async def list_commission_rules(
        self,
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> AsyncIterator[pb.CommissionRule]:
        """Iterate over commission rules, newest first.

        Args:
            filter: comparisons joined by ``AND``, e.g. ``currency_code = "USD"``; empty for all.
            page_size: results fetched by one call, 1 to 1000; the iterator fetches as many pages as it needs.

        Raises:
            CallFailed: the call failed, e.g. ``FILTER_INVALID``.

        Example:
            >>> [one async for one in client.list_commission_rules()]
        """
        request = pb.ListCommissionRulesRequest(filter=filter, page_size=page_size)
        async for page in self._pages(self._commissions.ListCommissionRules, request):
            for one in page.rules:
                yield one

    async def end_commission_rule(
        self,
        name: str,
        *,
        end_time: datetime | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.EndCommissionRuleResponse:
        """End a commission rule, now or at a later time.

        Args:
            name: the rule, ``commissionRules/{rule}``.
            end_time: when it ends, with a time zone; None: now.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the ended rule.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.
            ValueError: a time has no time zone.

        Example:
            >>> await client.end_commission_rule(rule.name)
        """
        return await self._change(
            self._commissions.EndCommissionRule,
            pb.EndCommissionRuleRequest(
                name=name,
                end_time=timestamp(end_time),
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    async def quote_commission(self, source: str, destination: str, amount: Amount) -> pb.QuoteCommissionResponse:
        """Return the commission that a transfer would cost now; not binding.

        Args:
            source: the wallet to debit, ``wallets/{wallet}``.
            destination: the wallet to credit, ``wallets/{wallet}``.
            amount: the amount in minor units, above zero.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.

        Example:
            >>> (await client.quote_commission(a, b, Amount("USD", 1005))).commission.amount.minor_units
        """
        request = pb.QuoteCommissionRequest(source=source, destination=destination, amount=amount.message())
        return await self._read(self._commissions.QuoteCommission, request)
