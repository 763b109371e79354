"""WebhookService."""

from collections.abc import Iterable
from datetime import timedelta

from wallet.v1 import event_service_pb2 as event_pb
from wallet.v1 import webhook_service_pb2 as pb
from wallet.v1.commission_service_pb2 import Label as LabelPb

from wallet_core.domain.commands.webhooks.change_webhook import (
    DeleteWebhook,
    PingWebhook,
    RedeliverEvent,
    RotateWebhookSecret,
    UpdateWebhook,
)
from wallet_core.domain.commands.webhooks.create_webhook import CreateWebhook
from wallet_core.domain.model.commission_rule import Label
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.wallet import WalletId, wallet_name
from wallet_core.domain.model.webhook import Delivery, DeliveryAttempt, Webhook
from wallet_core.usecases.app import WebhookSettings, new_id
from wallet_core.usecases.webhooks import new_secret
from wallet_grpc.convert.events import type_value, types_in
from wallet_grpc.convert.values import (
    optional_time,
    request_of,
    resource_uuid,
    time_of,
    timestamp_message,
    wallet_id,
)
from wallet_grpc.security.access import Principal


def create_command(request: pb.CreateWebhookRequest, caller: Principal, limits: WebhookSettings) -> CreateWebhook:
    """Return what ``CreateWebhook`` asks."""
    webhook = request.webhook
    return CreateWebhook(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        secret=new_secret(),
        url=webhook.url,
        description=webhook.description,
        types=_types(webhook.types),
        wallet=_wallet(webhook),
        owner=webhook.owner,
        label=_label(webhook),
        enabled=webhook.state != pb.Webhook.STATE_DISABLED,
        most=limits.count_max,
        most_of_owner=limits.owner_count_max,
    )


def update_command(request: pb.UpdateWebhookRequest, caller: Principal) -> UpdateWebhook:
    """Return what ``UpdateWebhook`` asks; what the mask does not name has no effect on the fingerprint."""
    webhook, paths = request.webhook, tuple(sorted(set(request.update_mask.paths)))
    return UpdateWebhook(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        webhook=resource_uuid(webhook.name),
        etag=webhook.etag,
        paths=paths,
        url=webhook.url if "url" in paths else "",
        description=webhook.description if "description" in paths else "",
        types=_types(webhook.types) if "types" in paths else (),
        wallet=_wallet(webhook) if "wallet" in paths else None,
        owner=webhook.owner if "owner" in paths else "",
        label=_label(webhook) if "label" in paths else None,
        enabled="state" not in paths or webhook.state == pb.Webhook.STATE_ENABLED,
    )


def rotate_command(
    request: pb.RotateWebhookSecretRequest, caller: Principal, overlap: timedelta
) -> RotateWebhookSecret:
    """Return what ``RotateWebhookSecret`` asks."""
    return RotateWebhookSecret(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        webhook=resource_uuid(request.name),
        etag=request.etag,
        secret=new_secret(),
        expire_previous_now=request.expire_previous_now,
        overlap=overlap,
    )


def delete_command(request: pb.DeleteWebhookRequest, caller: Principal) -> DeleteWebhook:
    """Return what ``DeleteWebhook`` asks."""
    return DeleteWebhook(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        webhook=resource_uuid(request.name),
        etag=request.etag,
    )


def ping_command(request: pb.PingWebhookRequest, caller: Principal) -> PingWebhook:
    """Return what ``PingWebhook`` asks."""
    return PingWebhook(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        webhook=resource_uuid(request.name),
    )


def redeliver_command(request: pb.RedeliverEventRequest, caller: Principal, number: int | None) -> RedeliverEvent:
    """Return what ``RedeliverEvent`` asks; *number* is that of the delivery, if it names one."""
    return RedeliverEvent(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        webhook=resource_uuid(request.name),
        number=number,
        dead_since=time_of(request.dead_since, "dead_since") if request.HasField("dead_since") else None,
        delivery=request.delivery,
    )


def webhook_message(webhook: Webhook, *, validated_only: bool = False) -> pb.Webhook:
    """Return a webhook's message, without its secrets; after ``validate_only`` a new one has no name."""
    label = webhook.label
    return pb.Webhook(
        name="" if validated_only else webhook.name,
        url=webhook.url,
        description=webhook.description,
        types=map(type_value, webhook.types),
        wallet=wallet_name(webhook.wallet) if webhook.wallet is not None else "",
        owner=webhook.owner,
        label=LabelPb(key=label.key, value=label.value) if label is not None else None,
        state=pb.Webhook.State.Value(f"STATE_{webhook.state}"),
        disabled_reason=webhook.disabled_reason,
        confined_to_owner=webhook.confined_to or "",
        etag=webhook.etag,
        create_time=timestamp_message(webhook.create_time),
        update_time=timestamp_message(webhook.update_time),
        previous_secret_expire_time=optional_time(webhook.previous_secret_until),
    )


def delivery_message(delivery: Delivery, name: str, *, shows_number: bool) -> pb.WebhookDelivery:
    """Return the message of a delivery."""
    return pb.WebhookDelivery(
        name=name,
        state=pb.WebhookDelivery.State.Value(f"STATE_{delivery.state}"),
        event_number=delivery.number if shows_number and delivery.number > 0 else 0,
        type=type_value(EventType(delivery.type)) if delivery.type else event_pb.Event.TYPE_UNSPECIFIED,
        resource=delivery.subject,
        attempts=map(_attempt_message, delivery.attempts),
        next_attempt_time=optional_time(delivery.next_attempt_time),
        create_time=timestamp_message(delivery.create_time),
        end_time=optional_time(delivery.end_time),
    )


def _attempt_message(attempt: DeliveryAttempt) -> pb.DeliveryAttempt:
    answer = attempt.answer
    return pb.DeliveryAttempt(
        number=attempt.number,
        time=timestamp_message(attempt.time),
        http_status=answer.status,
        latency_ms=round(answer.latency.total_seconds() * 1000),
        response=answer.response,
        error=answer.error,
    )


def _types(values: Iterable[event_pb.Event.Type.ValueType]) -> tuple[EventType, ...]:
    return tuple(sorted(types_in(values)))


def _wallet(webhook: pb.Webhook) -> WalletId | None:
    return wallet_id(webhook.wallet) if webhook.wallet else None


def _label(webhook: pb.Webhook) -> Label | None:
    return Label(webhook.label.key, webhook.label.value) if webhook.HasField("label") else None
