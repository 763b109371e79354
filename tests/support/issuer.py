"""An issuer of tokens: keys of every kind, the set that publishes them, and tokens right and wrong."""

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from wallet_core.settings import Settings
from wallet_grpc.security.access import Scope
from wallet_grpc.security.tokens import Tokens
from wallet_grpc.server.process import authentication

ISSUER, AUDIENCE = "https://issuer.example", "wallet"
SECRET = "a-secret-of-more-than-32-characters"

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def new_key(algorithm: str) -> PrivateKey:
    """Return a new private key."""
    match algorithm:
        case "RS256":
            return rsa.generate_private_key(65537, 2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


@dataclass
class Issuer:
    """Signs with the key that a test names."""

    keys: dict[str, tuple[str, PrivateKey]] = field(default_factory=dict)

    def add(self, algorithm: str, key_id: str | None = None) -> str:
        """Make a key; return its id."""
        name = key_id or f"key-{algorithm}"
        self.keys[name] = (algorithm, new_key(algorithm))
        return name

    def key_set(self) -> str:
        """Return the public key set."""
        return json.dumps({"keys": [self._public(name) for name in self.keys]})

    def token(
        self,
        scope: str = "",
        client: str = "shop-client",
        *,
        key: str | None = None,
        **claims: Any,  # noqa: ANN401  # any claim
    ) -> str:
        """Return a token that is right but for what *claims* make of it; one that is None is left out."""
        name = key or next(iter(self.keys))
        algorithm, private = self.keys[name]
        all_claims = {"client_id": client, "scope": scope, **standard(), **claims}
        left = {claim: value for claim, value in all_claims.items() if value is not None}
        return jwt.encode(left, private, algorithm=algorithm, headers={"kid": name})

    def _public(self, name: str) -> dict[str, Any]:
        algorithm, private = self.keys[name]
        kinds: Mapping[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm}
        result = kinds.get(algorithm, OKPAlgorithm).to_jwk(private.public_key(), as_dict=True)
        return {**result, "kid": name, "use": "sig", "alg": algorithm}


def standard() -> dict[str, Any]:
    """Return the claims that every token has."""
    now = datetime.now(UTC)  # noqa: TID251  # a token's times are by its issuer's clock
    return {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + timedelta(minutes=5)}


def by_secret(**claims: Any) -> str:  # noqa: ANN401  # any claim
    """Return a token for development, right but for what *claims* make of it."""
    all_claims = {"client_id": "shop-client", "scope": " ".join(Scope), **standard(), **claims}
    return jwt.encode(all_claims, SECRET, algorithm="HS256")


def bearer(token: str) -> tuple[tuple[str, str]]:
    """Return the metadata that a token is sent in."""
    return (("authorization", f"Bearer {token}"),)


def in_an_hour(hours: float) -> datetime:
    """Return the time this many hours from now."""
    return datetime.now(UTC) + timedelta(hours=hours)  # noqa: TID251  # a token's times are by its issuer's clock


def ending_in(seconds: int) -> datetime:
    """Return a time at least this many seconds from now: a token has whole seconds, and the rest is cut off."""
    return in_an_hour((seconds + 1) / 3600).replace(microsecond=0)


def stranger() -> Issuer:
    """Return another issuer that uses the same names."""
    other = Issuer()
    other.add("RS256")
    return other


def unknown_key() -> str:
    """Return a token by a key that the set does not have."""
    other = Issuer()
    other.add("ES256", "key-of-nobody")
    return other.token(" ".join(Scope))


def tokens_of(settings: Settings, **changes: object) -> Tokens:
    """Return what reads tokens by these settings."""
    found = authentication(settings.replaced(**changes)).tokens
    assert found is not None
    return found


class Published:
    """A key set at an address, and how often it was read."""

    def __init__(self, text: str) -> None:
        self.text: str | None = text
        self.reads = 0
        self.delay_s = 0.0
        self.drips = False
        published = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the library's name
                published.reads += 1
                threading.Event().wait(published.delay_s)
                if published.drips:
                    self.send_response(200)
                    self.end_headers()
                    with suppress(OSError):
                        for _ in range(100):
                            self.wfile.write(b" ")
                            threading.Event().wait(0.1)
                    return
                self.send_response(200 if published.text is not None else 503)
                self.end_headers()
                self.wfile.write((published.text or "").encode())

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/keys"
        Thread(target=self.server.serve_forever, daemon=True).start()
