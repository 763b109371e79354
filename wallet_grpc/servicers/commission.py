"""CommissionService."""

import grpc
from wallet.v1 import commission_service_pb2 as pb
from wallet.v1.commission_service_pb2_grpc import CommissionServiceServicer

from wallet_core.domain.queries.filter import parse_filter
from wallet_core.domain.queries.lists import RULE_FIELDS
from wallet_core.usecases.commission import change_rule, quote_commission
from wallet_grpc.convert import commissions as convert
from wallet_grpc.convert.page_tokens import fitting, page_size
from wallet_grpc.convert.values import resource_uuid
from wallet_grpc.security.access import principal_of
from wallet_grpc.servicers.serving import Serving


class CommissionServicer(CommissionServiceServicer):
    """Commission rules and quotes."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._tokens = serving.page_tokens
        self._deadline = serving.deadline
        self._page_max_bytes = serving.page_max_bytes

    def CreateCommissionRule(
        self, request: pb.CreateCommissionRuleRequest, context: grpc.ServicerContext
    ) -> pb.CreateCommissionRuleResponse:
        """Create a rule."""
        made = change_rule(self._app, convert.create_command(request, principal_of(context)), self._deadline(context))
        validated_only = request.validate_only and not made.replayed
        return pb.CreateCommissionRuleResponse(
            rule=convert.rule_message(made.rule, validated_only=validated_only), replayed=made.replayed
        )

    def GetCommissionRule(
        self, request: pb.GetCommissionRuleRequest, context: grpc.ServicerContext
    ) -> pb.GetCommissionRuleResponse:
        """Return a rule."""
        del context
        rule = self._app.reads.rule(resource_uuid(request.name))
        return pb.GetCommissionRuleResponse(rule=convert.rule_message(rule))

    def ListCommissionRules(
        self, request: pb.ListCommissionRulesRequest, context: grpc.ServicerContext
    ) -> pb.ListCommissionRulesResponse:
        """Return a page of rules."""
        del context
        conditions = parse_filter(request.filter, RULE_FIELDS)
        page = self._app.reads.list_rules(
            size=page_size(request.page_size), before=self._tokens.time_and_id(request), conditions=conditions
        )
        messages, following = fitting([convert.rule_message(rule) for rule in page.items], page, self._page_max_bytes)
        return pb.ListCommissionRulesResponse(rules=messages, next_page_token=self._tokens.write(request, following))

    def EndCommissionRule(
        self, request: pb.EndCommissionRuleRequest, context: grpc.ServicerContext
    ) -> pb.EndCommissionRuleResponse:
        """End a rule."""
        ended = change_rule(self._app, convert.end_command(request, principal_of(context)), self._deadline(context))
        return pb.EndCommissionRuleResponse(rule=convert.rule_message(ended.rule), replayed=ended.replayed)

    def QuoteCommission(
        self, request: pb.QuoteCommissionRequest, context: grpc.ServicerContext
    ) -> pb.QuoteCommissionResponse:
        """Quote the commission of a transfer."""
        del context
        return convert.quote_response(quote_commission(self._app, convert.quoted_terms(request)))
