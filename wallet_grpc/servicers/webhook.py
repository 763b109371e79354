"""WebhookService."""

from uuid import UUID

import grpc
from wallet.v1 import webhook_service_pb2 as pb
from wallet.v1.webhook_service_pb2_grpc import WebhookServiceServicer

from wallet_core.domain.model.access import OWNER
from wallet_core.domain.model.errors import PermissionMissing, ResourceNotFound
from wallet_core.domain.model.webhook import Webhook, ping_number, webhook_name
from wallet_core.domain.queries.filter import parse_filter
from wallet_core.domain.queries.lists import DELIVERY_FIELDS, WEBHOOK_FIELDS
from wallet_core.usecases.webhooks import change_webhook, require_url
from wallet_grpc.convert import webhooks as convert
from wallet_grpc.convert.page_tokens import fitting, page_size
from wallet_grpc.convert.values import resource_uuid
from wallet_grpc.convert.webhook_messages import DeliveryIds
from wallet_grpc.security.access import Principal, principal_of
from wallet_grpc.servicers.serving import Serving


class WebhookServicer(WebhookServiceServicer):
    """Webhooks and their deliveries. A scheduler sends them: nothing here calls an endpoint."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._tokens = serving.page_tokens
        self._ids = DeliveryIds(serving.page_tokens)
        self._deadline = serving.deadline
        self._page_max_bytes = serving.page_max_bytes

    def CreateWebhook(
        self, request: pb.CreateWebhookRequest, context: grpc.ServicerContext
    ) -> pb.CreateWebhookResponse:
        """Create a webhook."""
        require_url(self._app, request.webhook.url)
        command = convert.create_command(request, principal_of(context), self._app.webhooks)
        made = change_webhook(self._app, command, self._deadline(context))
        validated_only = request.validate_only and not made.replayed
        return pb.CreateWebhookResponse(
            webhook=convert.webhook_message(made.webhook, validated_only=validated_only),
            secret=made.secret,
            replayed=made.replayed,
        )

    def GetWebhook(self, request: pb.GetWebhookRequest, context: grpc.ServicerContext) -> pb.GetWebhookResponse:
        """Return a webhook."""
        webhook = self._webhook(request.name, principal_of(context))
        return pb.GetWebhookResponse(webhook=convert.webhook_message(webhook))

    def ListWebhooks(self, request: pb.ListWebhooksRequest, context: grpc.ServicerContext) -> pb.ListWebhooksResponse:
        """Return a page of webhooks."""
        conditions = parse_filter(request.filter, WEBHOOK_FIELDS)
        page = self._app.reads.list_webhooks(
            confined_to=principal_of(context).owner,
            size=page_size(request.page_size),
            before=self._tokens.time_and_id(request),
            conditions=conditions,
        )
        messages, following = fitting([convert.webhook_message(one) for one in page.items], page, self._page_max_bytes)
        return pb.ListWebhooksResponse(webhooks=messages, next_page_token=self._tokens.write(request, following))

    def UpdateWebhook(
        self, request: pb.UpdateWebhookRequest, context: grpc.ServicerContext
    ) -> pb.UpdateWebhookResponse:
        """Change a webhook."""
        if "url" in request.update_mask.paths:
            require_url(self._app, request.webhook.url)
        command = convert.update_command(request, principal_of(context))
        changed = change_webhook(self._app, command, self._deadline(context))
        return pb.UpdateWebhookResponse(webhook=convert.webhook_message(changed.webhook), replayed=changed.replayed)

    def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: grpc.ServicerContext
    ) -> pb.RotateWebhookSecretResponse:
        """Give a webhook a new secret."""
        command = convert.rotate_command(request, principal_of(context), self._app.webhooks.secret_overlap)
        changed = change_webhook(self._app, command, self._deadline(context))
        return pb.RotateWebhookSecretResponse(
            webhook=convert.webhook_message(changed.webhook), secret=changed.secret, replayed=changed.replayed
        )

    def DeleteWebhook(
        self, request: pb.DeleteWebhookRequest, context: grpc.ServicerContext
    ) -> pb.DeleteWebhookResponse:
        """Delete a webhook."""
        command = convert.delete_command(request, principal_of(context))
        changed = change_webhook(self._app, command, self._deadline(context))
        return pb.DeleteWebhookResponse(webhook=convert.webhook_message(changed.webhook), replayed=changed.replayed)

    def PingWebhook(self, request: pb.PingWebhookRequest, context: grpc.ServicerContext) -> pb.PingWebhookResponse:
        """Queue a test request."""
        caller = principal_of(context)
        # Before the change: to seal the name may read the database, and nothing is read after a commit.
        number = ping_number(caller.caller, UUID(request.request_id))
        name = self._delivery_name(resource_uuid(request.name), number)
        queued = change_webhook(self._app, convert.ping_command(request, caller), self._deadline(context))
        validated_only = request.validate_only and not queued.replayed
        return pb.PingWebhookResponse(delivery="" if validated_only else name, replayed=queued.replayed)

    def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.ListDeliveriesResponse:
        """Return a page of deliveries."""
        conditions = parse_filter(request.filter, DELIVERY_FIELDS)
        before = self._tokens.time_and_number(request)
        principal = principal_of(context)
        webhook = self._webhook(request.webhook, principal)
        page = self._app.reads.list_deliveries(
            webhook.id, size=page_size(request.page_size), before=before, conditions=conditions
        )
        shows_number = webhook.confined_to is None and principal.owner is None
        messages, following = fitting(
            [
                convert.delivery_message(one, self._delivery_name(webhook.id, one.number), shows_number=shows_number)
                for one in page.items
            ],
            page,
            self._page_max_bytes,
        )
        return pb.ListDeliveriesResponse(deliveries=messages, next_page_token=self._tokens.write(request, following))

    def RedeliverEvent(
        self, request: pb.RedeliverEventRequest, context: grpc.ServicerContext
    ) -> pb.RedeliverEventResponse:
        """Send an event again, or dead letters."""
        number = None
        if request.delivery:
            number = self._ids.read(resource_uuid(request.name), request.delivery.rpartition("/")[2])
            if number is None:
                # Not an id that this service has made: as unknown as one that was removed.
                number = 0
        command = convert.redeliver_command(request, principal_of(context), number)
        changed = change_webhook(self._app, command, self._deadline(context))
        return pb.RedeliverEventResponse(replayed=changed.replayed)

    def _webhook(self, name: str, principal: Principal) -> Webhook:
        """Return a webhook that this caller may read."""
        try:
            webhook = self._app.reads.webhook(resource_uuid(name))
        except ResourceNotFound:
            if principal.owner is not None:
                raise PermissionMissing(OWNER) from None
            raise
        principal.access.require_owner(webhook.confined_to)
        return webhook

    def _delivery_name(self, webhook: UUID, number: int) -> str:
        return f"{webhook_name(webhook)}/deliveries/{self._ids.write(webhook, number)}"
