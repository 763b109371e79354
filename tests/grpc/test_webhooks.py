"""Webhooks as callers make, find, change and delete them: secrets, repeats, rights and owners."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import event_service_pb2 as event_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1 import webhook_service_pb2 as pb

from scheduler.jobs import deliver_webhooks
from tests.support.api import Api
from tests.support.books import deposit
from tests.support.callers import everything, served
from tests.support.endpoint import Endpoint, Reply, running_endpoint
from tests.support.issuer import Issuer, bearer
from tests.support.requests import changed, new_id
from tests.support.together import together
from tests.support.webhooks import deliver, publish
from tests.support.wire import Answer
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

URL = "https://shop.example/events"
NOBODY = "webhooks/01900000-0000-7000-8000-000000000000"
OWN = {"permission": "owner"}


def a_webhook(url: str = URL, **fields: Any) -> pb.CreateWebhookRequest:  # noqa: ANN401  # any field
    """Return the creation of a webhook."""
    return pb.CreateWebhookRequest(webhook=pb.Webhook(url=url, **fields), request_id=new_id())


def an_update(webhook: pb.Webhook, *paths: str, etag: str = "", **fields: Any) -> pb.UpdateWebhookRequest:  # noqa: ANN401  # any field
    """Return a change of these fields, and of those that are only named."""
    return pb.UpdateWebhookRequest(
        webhook=pb.Webhook(name=webhook.name, etag=etag, **fields),
        update_mask=FieldMask(paths=[*paths, *fields]),
        request_id=new_id(),
    )


def listed(api: Api, page_size: int = 0) -> list[pb.Webhook]:
    """Return all webhooks, page by page."""
    found: list[pb.Webhook] = []
    request = pb.ListWebhooksRequest(page_size=page_size)
    while True:
        page = api.ok(request)
        found += page.webhooks
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Return an endpoint."""
    with running_endpoint() as endpoint:
        yield endpoint


def test_a_webhook_is_created_read_listed_and_deleted(api: Api) -> None:
    """A deleted one can be read and is not listed; its secret is gone."""

    made = [api.ok(a_webhook(f"{URL}/{number}", description="two\nlines")).webhook for number in range(5)]
    assert [one.url for one in listed(api, 2)] == [f"{URL}/{number}" for number in reversed(range(5))]
    deleted = api.ok(pb.DeleteWebhookRequest(name=made[1].name, etag=made[1].etag, request_id=new_id())).webhook

    found = api.ok(pb.GetWebhookRequest(name=made[1].name)).webhook
    assert (found, found.state) == (deleted, pb.Webhook.STATE_DELETED)
    assert [one.name for one in listed(api)] == [made[number].name for number in (4, 3, 2, 0)]
    api.ok(an_update(made[3], state=pb.Webhook.STATE_DISABLED))
    disabled = api.ok(pb.ListWebhooksRequest(filter="state = DISABLED")).webhooks
    assert [one.name for one in disabled] == [made[3].name]
    assert api.refused(pb.ListWebhooksRequest(filter="state = DELETED")).reason == "FILTER_INVALID"
    for request in (
        pb.DeleteWebhookRequest(name=found.name, request_id=new_id()),
        pb.RotateWebhookSecretRequest(name=found.name, request_id=new_id()),
        pb.PingWebhookRequest(name=found.name, request_id=new_id()),
        an_update(found, description="x"),
    ):
        refused = api.refused(request)
        assert (refused.reason, refused.metadata["state"]) == ("STATE_TRANSITION_FORBIDDEN", "DELETED")


def test_only_a_creation_and_a_rotation_return_a_secret(api: Api) -> None:
    """By the specification: ``whsec_`` and base64 of 24 to 64 bytes."""

    created = api.ok(a_webhook())
    rotated = api.ok(pb.RotateWebhookSecretRequest(name=created.webhook.name, request_id=new_id()))

    assert created.secret.startswith("whsec_")
    assert rotated.secret.startswith("whsec_")
    assert created.secret != rotated.secret
    assert rotated.webhook.HasField("previous_secret_expire_time")
    answers = [
        api.ok(pb.GetWebhookRequest(name=created.webhook.name)),
        api.ok(pb.ListWebhooksRequest()),
        api.ok(an_update(created.webhook, description="x")),
        api.ok(pb.DeleteWebhookRequest(name=created.webhook.name, request_id=new_id())),
    ]
    for answer in answers:
        assert created.secret not in str(answer)
        assert rotated.secret not in str(answer)


def test_a_repeat_returns_the_secret_of_the_first_call_while_it_is_valid(api: Api) -> None:
    """Its first response may have been lost."""

    create = a_webhook()
    created = api.ok(create)
    again = api.ok(create)
    assert (again.webhook, again.secret, again.replayed) == (created.webhook, created.secret, True)
    rotate = pb.RotateWebhookSecretRequest(name=created.webhook.name, request_id=new_id())
    rotated = api.ok(rotate)
    assert [api.ok(one).secret for one in (create, rotate)] == [created.secret, rotated.secret]
    at_once = pb.RotateWebhookSecretRequest(name=created.webhook.name, expire_previous_now=True, request_id=new_id())
    newest = api.ok(at_once)
    assert not newest.webhook.HasField("previous_secret_expire_time")
    assert [api.ok(one).secret for one in (create, rotate, at_once)] == ["", "", newest.secret]


def test_a_request_id_stands_for_one_request(api: Api, owner: psycopg.Connection) -> None:
    """Another use is refused; a repeat stores nothing, and a call that only validates neither."""

    create = a_webhook()
    webhook = api.ok(create).webhook
    before = everything(owner)
    reused = api.refused(changed(create, webhook=pb.Webhook(url=f"{URL}/other")))
    assert reused.reason == "REQUEST_ID_REUSED"
    validated = api.ok(changed(a_webhook(), validate_only=True))
    assert (validated.webhook.name, validated.secret) == ("", "")
    for request in (
        an_update(webhook, description="x"),
        pb.RotateWebhookSecretRequest(name=webhook.name, request_id=new_id()),
        pb.DeleteWebhookRequest(name=webhook.name, request_id=new_id()),
        pb.PingWebhookRequest(name=webhook.name, request_id=new_id()),
    ):
        answer = api.ok(changed(request, validate_only=True))
        assert not getattr(answer, "secret", "")
    assert everything(owner) == before


def test_a_ping_is_queued_once_and_sent_to_a_disabled_webhook(app: App, api: Api, endpoint: Endpoint) -> None:
    """Its attempt is listed; it is not sent again, whatever the answer."""

    created = api.ok(a_webhook(endpoint.url, state=pb.Webhook.STATE_DISABLED))
    ping = pb.PingWebhookRequest(name=created.webhook.name, request_id=new_id())
    first, again = api.ok(ping), api.ok(ping)
    assert (first.delivery, again.delivery, again.replayed) == (first.delivery, first.delivery, True)
    endpoint.usual = Reply(500, body=b"not yet")
    assert deliver(app) == {"DEAD": 1}

    (sent,) = endpoint.received
    assert sent.body == b'{"type":"ping"}'
    assert sent.is_signed_by(created.secret)
    (delivery,) = api.ok(pb.ListDeliveriesRequest(webhook=created.webhook.name)).deliveries
    assert delivery.name == first.delivery == f"{created.webhook.name}/deliveries/{sent.id}"
    (attempt,) = delivery.attempts
    assert (attempt.http_status, attempt.response, delivery.event_number) == (500, "not yet", 0)
    assert deliver(app) == {}


def test_deliveries_are_listed_newest_first_and_by_state(app: App, api: Api, endpoint: Endpoint) -> None:
    """Page by page, with their attempts; one is sent again by its name."""

    webhook = api.ok(a_webhook(endpoint.url)).webhook
    api.open_all(*(f"w-{number}" for number in range(5)))
    endpoint.answer = lambda sent: Reply(503) if sent.event["resource"] == "wallets/w-3" else None
    deliver(app)

    request = pb.ListDeliveriesRequest(webhook=webhook.name, page_size=2)
    found: list[pb.WebhookDelivery] = []
    while not found or request.page_token:
        page = api.ok(request)
        found += page.deliveries
        request.page_token = page.next_page_token
    assert [one.event_number for one in found] == [5, 4, 3, 2, 1]
    assert {one.type for one in found} == {event_pb.Event.TYPE_WALLET_CREATED}
    pending = api.ok(pb.ListDeliveriesRequest(webhook=webhook.name, filter="state = PENDING")).deliveries
    assert [(one.resource, one.attempts[0].http_status) for one in pending] == [("wallets/w-3", 503)]
    assert api.refused(pb.ListDeliveriesRequest(webhook=webhook.name, filter="a = 1")).reason == "FILTER_INVALID"

    endpoint.answer = lambda _: None
    again = pb.RedeliverEventRequest(name=webhook.name, delivery=found[-1].name, request_id=new_id())
    assert not api.ok(again).replayed
    assert api.ok(again).replayed
    deliver(app)
    assert endpoint.received[-1].id == found[-1].name.rpartition("/")[2]
    unknown = pb.RedeliverEventRequest(
        name=webhook.name, delivery=f"{webhook.name}/deliveries/msg_unknown", request_id=new_id()
    )
    assert api.refused(unknown).reason == "RESOURCE_NOT_FOUND"


def test_filters_are_changed_and_removed(app: App, api: Api) -> None:
    """For events that are published later; an etag guards against changes in between."""

    api.open("alice")
    publish(app)
    label = {"key": "tier", "value": "gold"}
    made = api.ok(a_webhook(wallet="wallets/alice", owner="o", label=label, types=[1, 2])).webhook
    removed = api.ok(an_update(made, "wallet", "owner", "label", "types", etag=made.etag)).webhook
    assert (removed.wallet, removed.owner, removed.HasField("label"), list(removed.types)) == ("", "", False, [])
    assert api.refused(an_update(made, description="x", etag=made.etag)).reason == "ETAG_MISMATCH"
    assert api.refused(an_update(made, wallet="wallets/nobody")).reason == "RESOURCE_NOT_FOUND"
    found = api.ok(an_update(made, wallet="wallets/alice")).webhook
    kept = api.ok(an_update(made, description="x")).webhook
    assert (found.wallet, kept.wallet, kept.description) == ("wallets/alice", "wallets/alice", "x")


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@shop.example/",
        "https://shop.example/#part",
        "https:///events",
        "https://shop.example:0/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
    ],
)
def test_a_url_that_nothing_may_be_sent_to_is_refused(api: Api, url: str) -> None:
    """When it is set and when it is changed."""

    webhook = api.ok(a_webhook()).webhook
    for request in (a_webhook(url), an_update(webhook, url=url)):
        refused = api.refused(request)
        assert refused.reason == "INVALID_FIELDS"
        assert "webhook.url" in str(refused)


def test_the_number_of_webhooks_is_limited(app: App, settings: Settings) -> None:
    """Also of callers at once."""

    del app
    with served(settings.replaced(webhook_count_max=3)) as client:
        made = together([lambda: client.create_webhook(URL)] * 6)
    assert sum(isinstance(one, pb.CreateWebhookResponse) for one in made) == 3
    assert {getattr(one, "reason", "OK") for one in made} == {"OK", "LIMIT_EXCEEDED"}


@dataclass
class House:
    """A service that wants a token."""

    target: str
    issuer: Issuer

    def ask(self, request: Message, *scopes: Scope, **claims: Any) -> Answer:  # noqa: ANN401  # any claim
        """Ask with these scopes; with all where none is named."""
        token = self.issuer.token(" ".join(scopes or Scope), **claims)
        with Api(self.target, metadata=bearer(token)) as api:
            return api.answer(request)

    def created(self, request: Message, *scopes: Scope, **claims: Any) -> pb.CreateWebhookResponse:  # noqa: ANN401  # any claim
        """Create a webhook."""
        answer = self.ask(request, *scopes, **claims)
        assert answer.code == "OK", answer
        return pb.CreateWebhookResponse.FromString(answer.body)


@pytest.fixture
def house(app: App, guarded: Settings, issuer: Issuer) -> Iterator[House]:
    """Return the service, with a wallet of each owner's."""
    with serving(app, guarded, authentication(guarded)) as port:
        house = House(f"127.0.0.1:{port}", issuer)
        for owner in ("anna", "bert"):
            wallet = wallet_pb.Wallet(currency_code="USD", owner=owner)
            request = wallet_pb.CreateWalletRequest(wallet_id=f"{owner}s", wallet=wallet, request_id=new_id())
            assert house.ask(request).code == "OK"
        publish(app)
        yield house


def each(name: str) -> dict[str, Message]:
    """Return one request of each call on a webhook."""
    return {
        "get": pb.GetWebhookRequest(name=name),
        "update": an_update(pb.Webhook(name=name), description="x"),
        "rotate": pb.RotateWebhookSecretRequest(name=name, request_id=new_id()),
        "ping": pb.PingWebhookRequest(name=name, request_id=new_id()),
        "deliveries": pb.ListDeliveriesRequest(webhook=name),
        "redeliver": pb.RedeliverEventRequest(name=name, dead_since=Timestamp(seconds=1), request_id=new_id()),
        "delete": pb.DeleteWebhookRequest(name=name, request_id=new_id()),
    }


def test_a_caller_of_one_owner_uses_its_owners_webhooks_only(house: House, owner: psycopg.Connection) -> None:
    """Of others, and of webhooks of no owner, it does not learn whether they exist."""

    own = house.created(a_webhook(), owner="anna").webhook
    assert own.confined_to_owner == "anna"
    berts = house.created(a_webhook(), owner="bert").webhook
    everybodys = house.created(a_webhook()).webhook
    before = everything(owner)
    for name in (berts.name, everybodys.name, NOBODY):
        for what, request in each(name).items():
            answer = house.ask(request, owner="anna")
            assert (answer.reason, answer.metadata) == ("PERMISSION_MISSING", OWN), (what, name)
    assert everything(owner) == before
    page = pb.ListWebhooksResponse.FromString(house.ask(pb.ListWebhooksRequest(), owner="anna").body)
    assert [one.name for one in page.webhooks] == [own.name]
    for what, request in each(own.name).items():
        assert house.ask(request, owner="anna").code == "OK", what


def test_a_caller_of_one_owner_filters_by_nothing_of_others(house: House) -> None:
    """Neither by a wallet nor by an owner, when it is created and when it is changed."""

    own = house.created(a_webhook(wallet="wallets/annas", owner="anna"), owner="anna").webhook
    for fields in ({"wallet": "wallets/berts"}, {"owner": "bert"}, {"wallet": "wallets/nobody"}):
        for request in (a_webhook(**fields), an_update(own, **fields)):
            answer = house.ask(request, owner="anna")
            assert (answer.reason, answer.metadata) == ("PERMISSION_MISSING", OWN), fields


def test_a_caller_needs_the_rights_that_a_webhook_keeps(house: House) -> None:
    """Or it could send events to itself that it may not read."""

    write = (Scope.WEBHOOKS_WRITE, Scope.WEBHOOKS_READ)
    refused = house.ask(a_webhook(), *write)
    assert (refused.reason, refused.metadata) == ("PERMISSION_MISSING", {"permission": "events.read"})
    operators = house.created(a_webhook()).webhook
    for request in (an_update(operators, url=f"{URL}/mine"), each(operators.name)["rotate"]):
        answer = house.ask(request, *write, Scope.EVENTS_READ, Scope.WALLET_READ)
        assert (answer.reason, answer.metadata) == ("PERMISSION_MISSING", {"permission": "operations"})
    system = a_webhook(wallet="wallets/system:external:USD")
    answer = house.ask(system, *write, Scope.EVENTS_READ)
    assert (answer.reason, answer.metadata) == ("PERMISSION_MISSING", {"permission": "operations"})
    assert house.ask(system).code == "OK"


@pytest.mark.parametrize("what", ["create", "list", *each(NOBODY)])
def test_scopes(house: House, what: str) -> None:
    """One to read, one to change."""

    request = {"create": a_webhook(), "list": pb.ListWebhooksRequest(), **each(NOBODY)}[what]
    needed = Scope.WEBHOOKS_READ if what in {"get", "list", "deliveries"} else Scope.WEBHOOKS_WRITE
    answer = house.ask(request, *(set(Scope) - {needed}))

    assert (answer.reason, answer.metadata) == ("PERMISSION_MISSING", {"permission": needed})


def test_deliveries_of_an_owner_show_no_number(app: App, house: House, endpoint: Endpoint) -> None:
    """Neither in the list nor in the id."""

    own = house.created(a_webhook(endpoint.url), owner="anna").webhook
    deposit(app, WalletId("annas"), 5)
    publish(app)
    deliver_webhooks.run_once(app)
    for claims in ({"owner": "anna"}, {}):
        answer = house.ask(pb.ListDeliveriesRequest(webhook=own.name), **claims)
        (delivery,) = pb.ListDeliveriesResponse.FromString(answer.body).deliveries
        assert (delivery.event_number, delivery.state) == (0, pb.WebhookDelivery.STATE_DELIVERED)
    assert endpoint.received[0].id == delivery.name.rpartition("/")[2]


def test_a_reused_request_id_reveals_nothing_to_a_caller_of_one_owner(house: House) -> None:
    """Of the webhook that it was used for."""

    create = a_webhook()
    house.created(create)
    answer = house.ask(changed(create, webhook=pb.Webhook(url=f"{URL}/other")), owner="anna")
    assert answer.reason == "REQUEST_ID_REUSED"
    assert "webhooks/" not in str(answer.metadata)
