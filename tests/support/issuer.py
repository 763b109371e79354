"""An issuer of tokens: keys of every kind, the set that tells them, and tokens right and wrong."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://issuer.example", "wallet"

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
        """Return the set that everybody may see."""
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
        said = {"client_id": client, "scope": scope, **standard(), **claims}
        left = {claim: value for claim, value in said.items() if value is not None}
        return jwt.encode(left, private, algorithm=algorithm, headers={"kid": name})

    def _public(self, name: str) -> dict[str, Any]:
        algorithm, private = self.keys[name]
        kinds: Mapping[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm}
        told = kinds.get(algorithm, OKPAlgorithm).to_jwk(private.public_key(), as_dict=True)
        return {**told, "kid": name, "use": "sig", "alg": algorithm}


def standard() -> dict[str, Any]:
    """Return the claims that every token has."""
    now = datetime.now(UTC)  # noqa: TID251  # a token's times are of whoever makes it
    return {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + timedelta(minutes=5)}


def bearer(token: str) -> tuple[tuple[str, str]]:
    """Return the metadata that a token is sent in."""
    return (("authorization", f"Bearer {token}"),)
