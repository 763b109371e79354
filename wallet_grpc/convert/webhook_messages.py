"""What is sent to webhooks: an event as ``WatchEvents`` gives it, as proto3 JSON, under an id that is sealed."""

import json
from uuid import UUID

from google.protobuf.json_format import MessageToDict

from wallet_core.domain.model.event import JournalRecord
from wallet_core.domain.model.webhook import Webhook, webhook_name
from wallet_core.storage.reads.all import Reads
from wallet_grpc.convert.event_views import EventView
from wallet_grpc.convert.events import event_message
from wallet_grpc.convert.page_tokens import PageTokens
from wallet_grpc.convert.resume_tokens import Place, ResumeTokens
from wallet_grpc.security.access import Principal, Scope
from wallet_grpc.security.sealing import SealBroken

_PREFIX = "msg_"


class DeliveryIds:
    """Ids of deliveries: the webhook and the number, encrypted, so that they reveal no activity of others."""

    def __init__(self, page_tokens: PageTokens) -> None:
        self._page_tokens = page_tokens

    def write(self, webhook: UUID, number: int) -> str:
        """Return the id of a delivery, always the same one: the header ``webhook-id``."""
        return f"{_PREFIX}{self._page_tokens.seal.closed(str(number).encode(), webhook_name(webhook))}"

    def read(self, webhook: UUID, id_: str) -> int | None:
        """Return the number in an id; None where it is no id of this webhook's."""
        try:
            return int(self._page_tokens.seal.opened(id_.removeprefix(_PREFIX), webhook_name(webhook)))
        except SealBroken:
            return None


class WebhookMessages:
    """Ids and bodies of deliveries."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        page_tokens = PageTokens(reads.page_token_key)
        self._ids = DeliveryIds(page_tokens)
        self._tokens = ResumeTokens(page_tokens)

    def message_id(self, webhook: UUID, number: int) -> str:
        """Return the id of a delivery."""
        return self._ids.write(webhook, number)

    def body(self, record: JournalRecord, webhook: Webhook) -> bytes:
        """Return an event as the webhook may see it."""
        view = EventView(self._reads, principal_for(webhook))
        message = event_message(
            record,
            number=record.number if view.shows_numbers else 0,
            wallets=view.readable(record.event.wallets),
            resume_token=self._tokens.write(Place.after(record)),
            shows_change=view.shows_changes,
        )
        return json.dumps(MessageToDict(message), separators=(",", ":"), ensure_ascii=False).encode()


def principal_for(webhook: Webhook) -> Principal:
    """Return the reader that a webhook is: its creator, with the rights that it had."""
    return Principal(webhook.creator, frozenset(Scope(right) for right in webhook.rights), webhook.confined_to)
