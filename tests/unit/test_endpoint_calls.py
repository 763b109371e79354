"""Requests to endpoints: where they go, whom they trust, and how long and how much they take."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from time import monotonic

import pytest
import trustme

from tests.support.endpoint import Endpoint, Reply, running_endpoint
from wallet_core.addresses import EndpointPolicy
from wallet_core.domain.model.webhook import Answer
from wallet_core.gateways.endpoints import HttpEndpoints, look_up, signed
from wallet_core.usecases.webhooks import new_secret

HERE = EndpointPolicy(allows_http=True, private_networks=(ip_network("127.0.0.0/8"),))
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
NOT_SENT = "the host resolves to an address that webhooks may not be sent to"


class Names:
    """A name server: each lookup takes the next answer, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        """Answer."""
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def endpoints(names: Names | None = None, **fields: object) -> HttpEndpoints:
    """Return the gateway; its names are looked up here."""
    usual: dict[str, object] = {"policy": HERE, "deadline_s": 10.0, "response_max_bytes": 100}
    return HttpEndpoints(**{**usual, "resolve": names or look_up, **fields})  # type: ignore[arg-type]  # its fields


def send(gateway: HttpEndpoints, url: str, now: datetime = NOW) -> Answer:
    """Send something."""
    return gateway.send(url, message="msg_1", body=b'{"a":"\xc3\xa9"}', secrets=[new_secret()], now=now)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Return an endpoint on this machine."""
    with running_endpoint() as endpoint:
        yield endpoint


def named(endpoint: Endpoint) -> str:
    """Return the endpoint's URL by a name."""
    return endpoint.url.replace("127.0.0.1", "shop.example")


def test_a_name_is_looked_up_once_and_the_request_goes_there(endpoint: Endpoint) -> None:
    """A name that leads elsewhere a moment later changes nothing: no second lookup decides where it goes."""

    names = Names(["127.0.0.1"], ["10.0.0.1"])
    gateway = endpoints(names)
    first, second = send(gateway, named(endpoint)), send(gateway, named(endpoint))

    assert (first.status, first.error) == (200, "")
    assert (second.status, second.error) == (0, NOT_SENT)
    (sent,) = endpoint.received
    port = endpoint.url.rpartition(":")[2].partition("/")[0]
    assert sent.headers["host"] == f"shop.example:{port}"
    assert names.asked == [("shop.example", int(port))] * 2


@pytest.mark.parametrize("found", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["::ffff:10.0.0.1"], ["fe80::1%1"], []])
def test_nothing_is_sent_where_an_address_of_the_name_is_private(endpoint: Endpoint, found: list[str]) -> None:
    """One is enough; the error does not repeat it: it would reveal the network to callers."""

    assert send(endpoints(Names(found)), named(endpoint)) == Answer(error=NOT_SENT, latency=_ANY)
    assert endpoint.received == []


class _Any(timedelta):
    """A time that equals every time."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = timedelta.__hash__


_ANY = _Any()


def test_loopback_is_refused_unless_it_is_allowed(endpoint: Endpoint) -> None:
    """By address and by name."""

    gateway = endpoints(policy=EndpointPolicy(allows_http=True))
    assert send(gateway, endpoint.url).error == "the URL has an address that webhooks may not be sent to"
    assert send(gateway, endpoint.url.replace("127.0.0.1", "localhost")).error == NOT_SENT
    assert endpoint.received == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_an_address_in_an_odd_form_is_refused(endpoint: Endpoint, host: str) -> None:
    """The lookup understands it, and what it returns is checked."""

    answer = send(endpoints(policy=EndpointPolicy(allows_http=True)), endpoint.url.replace("127.0.0.1", host))
    assert answer.status == 0
    assert answer.error == NOT_SENT
    assert endpoint.received == []


def test_plain_http_is_refused_in_production(endpoint: Endpoint) -> None:
    """Also for a URL that was set before."""

    gateway = endpoints(policy=EndpointPolicy(allows_http=False, private_networks=HERE.private_networks))
    assert send(gateway, endpoint.url).error == "the URL must begin with https://"
    assert endpoint.received == []


def test_another_address_is_tried_where_one_does_not_answer(endpoint: Endpoint) -> None:
    """In order."""

    assert send(endpoints(Names(["127.0.0.99", "127.0.0.1"])), named(endpoint)).status == 200


def test_a_redirect_is_not_followed(endpoint: Endpoint) -> None:
    """It could lead anywhere; it is a failure."""

    with running_endpoint() as other:
        endpoint.usual = Reply(307, {"Location": other.url})
        answer = send(endpoints(), endpoint.url)
        assert (answer.status, answer.is_accepted, other.received) == (307, False, [])


def test_a_proxy_of_the_environment_is_not_used(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would see every event, and could send them anywhere."""

    with running_endpoint() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert send(endpoints(), endpoint.url).status == 200
        assert (len(endpoint.received), proxy.received) == (1, [])


def test_a_response_that_does_not_come_ends_the_request_in_time(endpoint: Endpoint) -> None:
    """However slowly its bytes come."""

    endpoint.replies = [Reply(delay_s=30.0)]
    begun = monotonic()
    answer = send(endpoints(deadline_s=0.5), endpoint.url)
    assert (answer.status, answer.error) == (0, "no response within 0.5 s")
    assert monotonic() - begun < 10


def test_a_status_counts_even_where_the_body_never_ends(endpoint: Endpoint) -> None:
    """The rest of the response is for people."""

    endpoint.replies = [Reply(body=b"x" * 10_000, trickle_s=0.05)]
    begun = monotonic()
    answer = send(endpoints(deadline_s=1.0), endpoint.url)
    assert (answer.status, answer.is_accepted, answer.error) == (200, True, "")
    assert 0 < len(answer.response) < 100
    assert monotonic() - begun < 10


def test_a_response_is_read_no_further_than_it_is_stored(endpoint: Endpoint) -> None:
    """And not unpacked: that could fill the memory."""

    endpoint.replies = [Reply(body=b"y" * 50_000_000, headers={"Content-Encoding": "gzip"})]
    answer = send(endpoints(), endpoint.url)
    assert (answer.status, answer.response) == (200, "y" * 100)
    assert endpoint.received[0].headers["accept-encoding"] == "identity"


def test_a_name_that_cannot_be_looked_up_is_a_failure() -> None:
    """Of this attempt."""

    answer = send(endpoints(), "http://nowhere.invalid/")
    assert answer.status == 0
    assert answer.error.startswith("gaierror")


def test_a_port_that_nobody_listens_on_is_a_failure() -> None:
    """Of this attempt."""

    assert send(endpoints(), "http://127.0.0.1:1/").error.startswith("ConnectError")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("120", 120.0),
        ("9" * 40, 1e9),
        ("Fri, 02 Jan 2026 12:01:00 GMT", 60.0),
        ("Fri, 02 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_read(endpoint: Endpoint, sent: str, read: float | None) -> None:
    """Seconds, or a date; anything else is as good as nothing."""

    endpoint.replies = [Reply(503, {"Retry-After": sent})]
    assert send(endpoints(), endpoint.url).retry_after_s == read


def test_a_signature_is_the_one_of_the_specification() -> None:
    """The example of the specification's own libraries."""

    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        datetime.fromtimestamp(1614265330, UTC),
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_the_certificate_must_be_the_hosts(tmp_path: Path) -> None:
    """Signed by a trusted authority, for the name and not for the address that the request goes to."""

    authority, another = trustme.CA(), trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    answers = []
    for issuer, name in ((authority, "shop.example"), (authority, "127.0.0.1"), (another, "shop.example")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert(name).configure_cert(context)
        with running_endpoint(tls=context) as endpoint:
            answers.append(send(endpoints(Names(["127.0.0.1"]), ca=file), named(endpoint)))
            assert len(endpoint.received) == (1 if answers[-1].status else 0)

    assert [answer.status for answer in answers] == [200, 0, 0]
    assert all("CERTIFICATE_VERIFY_FAILED" in answer.error for answer in answers[1:])
