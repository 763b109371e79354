"""The calls of WebhookService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from functools import cached_property

from google.protobuf.field_mask_pb2 import FieldMask
from wallet.v1 import commission_service_pb2 as commission_pb
from wallet.v1 import event_service_pb2 as event_pb
from wallet.v1 import webhook_service_pb2 as pb
from wallet.v1 import webhook_service_pb2_grpc as grpc_pb

from wallet_client.aio.calls import PAGE, Calls
from wallet_client.values import new_request_id, timestamp


class WebhookCalls(Calls):
    """Webhooks and their deliveries."""

    @cached_property
    def _webhooks(self) -> grpc_pb.WebhookServiceAsyncStub:
        return grpc_pb.WebhookServiceStub(self._channel)

    async def create_webhook(
        self,
        url: str,
        *,
        description: str = "",
        types: Sequence[str] = (),
        wallet: str = "",
        owner: str = "",
        label: tuple[str, str] | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.CreateWebhookResponse:
        """Send events to an endpoint from now on. The filters are combined.

        Args:
            url: where events are sent.
            description: for people.
            types: only events of these types, e.g. ``TYPE_TRANSACTION_POSTED``; empty for all.
            wallet: only events of this wallet, ``wallets/{wallet}``; empty for all.
            owner: only events of this owner's wallets; empty for all.
            label: only events of wallets with this key and value.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the webhook, and the secret that verifies its requests.

        Raises:
            CallFailed: nothing was done, e.g. ``INVALID_FIELDS``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> (await client.create_webhook("https://shop.example/events")).secret
        """
        webhook = _webhook(url=url, description=description, types=types, wallet=wallet, owner=owner, label=label)
        return await self._change(
            self._webhooks.CreateWebhook,
            pb.CreateWebhookRequest(
                webhook=webhook, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    async def get_webhook(self, name: str) -> pb.Webhook:
        """Return one webhook, also a deleted one.

        Args:
            name: the webhook, ``webhooks/{webhook}``.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.

        Example:
            >>> (await client.get_webhook(name)).state
        """
        response = await self._read(self._webhooks.GetWebhook, pb.GetWebhookRequest(name=name))
        return response.webhook

    async def list_webhooks(
        self,
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> AsyncIterator[pb.Webhook]:
        """Iterate over webhooks, newest first, without deleted ones.

        Args:
            filter: comparisons joined by ``AND``, e.g. ``state = DISABLED``; empty for all.
            page_size: results fetched by one call, 1 to 1000; the iterator fetches as many pages as it needs.

        Raises:
            CallFailed: the call failed, e.g. ``FILTER_INVALID``.

        Example:
            >>> [one async for one in client.list_webhooks()]
        """
        request = pb.ListWebhooksRequest(filter=filter, page_size=page_size)
        async for page in self._pages(self._webhooks.ListWebhooks, request):
            for webhook in page.webhooks:
                yield webhook

    async def update_webhook(
        self,
        name: str,
        *,
        url: str | None = None,
        description: str | None = None,
        types: Sequence[str] | None = None,
        wallet: str | None = None,
        owner: str | None = None,
        label: tuple[str, str] | None = None,
        clear_label: bool = False,
        enabled: bool | None = None,
        etag: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.UpdateWebhookResponse:
        """Change a webhook; None leaves a field unchanged, and an empty filter is removed.

        Args:
            name: the webhook, ``webhooks/{webhook}``.
            url: where events are sent.
            description: for people.
            types: only events of these types.
            wallet: only events of this wallet.
            owner: only events of this owner's wallets.
            label: only events of wallets with this key and value.
            clear_label: remove the filter by a label.
            enabled: whether events are sent; once enabled again it receives every event since it was disabled.
            etag: the etag that was read: the change is refused if the webhook has changed since; empty: unconditional.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the changed webhook.

        Raises:
            CallFailed: nothing was done, e.g. ``ETAG_MISMATCH``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.update_webhook(name, enabled=True)
        """
        webhook = _webhook(
            url=url or "",
            description=description or "",
            types=types or (),
            wallet=wallet or "",
            owner=owner or "",
            label=label,
        )
        webhook.name, webhook.etag = name, etag
        if enabled is not None:
            webhook.state = pb.Webhook.STATE_ENABLED if enabled else pb.Webhook.STATE_DISABLED
        changed = {
            "url": url is not None,
            "description": description is not None,
            "types": types is not None,
            "wallet": wallet is not None,
            "owner": owner is not None,
            "label": label is not None or clear_label,
            "state": enabled is not None,
        }
        return await self._change(
            self._webhooks.UpdateWebhook,
            pb.UpdateWebhookRequest(
                webhook=webhook,
                update_mask=FieldMask(paths=[path for path, is_changed in changed.items() if is_changed]),
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    async def rotate_webhook_secret(
        self,
        name: str,
        *,
        expire_previous_now: bool = False,
        etag: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.RotateWebhookSecretResponse:
        """Give a webhook a new secret. Requests are signed with both until the previous one expires.

        Args:
            name: the webhook, ``webhooks/{webhook}``.
            expire_previous_now: end the previous secret at once, because it has become known.
            etag: the etag that was read; empty: unconditional.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the webhook and its new secret.

        Raises:
            CallFailed: nothing was done, e.g. ``RESOURCE_NOT_FOUND``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> (await client.rotate_webhook_secret(name)).secret
        """
        return await self._change(
            self._webhooks.RotateWebhookSecret,
            pb.RotateWebhookSecretRequest(
                name=name,
                etag=etag,
                expire_previous_now=expire_previous_now,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    async def delete_webhook(
        self, name: str, *, etag: str = "", validate_only: bool = False, request_id: str | None = None
    ) -> pb.DeleteWebhookResponse:
        """Delete a webhook for good: nothing more is sent, and its secrets are erased.

        Args:
            name: the webhook, ``webhooks/{webhook}``.
            etag: the etag that was read; empty: unconditional.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the deleted webhook.

        Raises:
            CallFailed: nothing was done, e.g. ``RESOURCE_NOT_FOUND``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.delete_webhook(name)
        """
        return await self._change(
            self._webhooks.DeleteWebhook,
            pb.DeleteWebhookRequest(
                name=name, etag=etag, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    async def ping_webhook(
        self, name: str, *, validate_only: bool = False, request_id: str | None = None
    ) -> pb.PingWebhookResponse:
        """Queue a test request, also to a disabled webhook.

        Args:
            name: the webhook, ``webhooks/{webhook}``.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the name of its delivery, which ``list_deliveries`` shows.

        Raises:
            CallFailed: nothing was done, e.g. ``RESOURCE_NOT_FOUND``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> (await client.ping_webhook(name)).delivery
        """
        return await self._change(
            self._webhooks.PingWebhook,
            pb.PingWebhookRequest(name=name, validate_only=validate_only, request_id=request_id or new_request_id()),
        )

    async def list_deliveries(
        self,
        webhook: str,
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> AsyncIterator[pb.WebhookDelivery]:
        """Iterate over the deliveries of a webhook, newest first.

        Args:
            webhook: the webhook, ``webhooks/{webhook}``.
            filter: comparisons joined by ``AND``, e.g. ``state = DEAD``; empty for all.
            page_size: results fetched by one call, 1 to 1000; the iterator fetches as many pages as it needs.

        Raises:
            CallFailed: the call failed, e.g. ``FILTER_INVALID``.

        Example:
            >>> [one.resource async for one in client.list_deliveries(name, filter="state = DEAD")]
        """
        request = pb.ListDeliveriesRequest(webhook=webhook, filter=filter, page_size=page_size)
        async for page in self._pages(self._webhooks.ListDeliveries, request):
            for delivery in page.deliveries:
                yield delivery

    async def redeliver_event(
        self,
        name: str,
        *,
        delivery: str = "",
        dead_since: datetime | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.RedeliverEventResponse:
        """Send one event again, or all dead letters since a time.

        Args:
            name: the webhook, ``webhooks/{webhook}``.
            delivery: the delivery, ``webhooks/{webhook}/deliveries/{delivery}``.
            dead_since: instead: dead letters that became so from this time on, with a time zone.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Raises:
            CallFailed: nothing was done, e.g. ``RESOURCE_NOT_FOUND``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.
            ValueError: both *delivery* and *dead_since* are given, or neither is, or the time has no time zone.

        Example:
            >>> await client.redeliver_event(name, dead_since=datetime(2026, 1, 1, tzinfo=UTC))
        """
        if bool(delivery) is (dead_since is not None):
            raise ValueError("name either one delivery or a time: nothing was sent")
        request = pb.RedeliverEventRequest(
            name=name,
            dead_since=timestamp(dead_since),
            validate_only=validate_only,
            request_id=request_id or new_request_id(),
        )
        if delivery:
            request.delivery = delivery
        return await self._change(self._webhooks.RedeliverEvent, request)


def _webhook(  # its fields, by name
    *, url: str, description: str, types: Iterable[str], wallet: str, owner: str, label: tuple[str, str] | None
) -> pb.Webhook:
    return pb.Webhook(
        url=url,
        description=description,
        types=[event_pb.Event.Type.Value(type_) for type_ in types],
        wallet=wallet,
        owner=owner,
        label=commission_pb.Label(key=label[0], value=label[1]) if label is not None else None,
    )
