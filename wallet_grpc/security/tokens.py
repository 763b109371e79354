"""Tokens (JWT): an issuer's signed statement of the caller and its scopes.

A token is a JWT by RS256, ES256 or EdDSA, checked by the issuer's public keys; by HS256, checked by a shared secret,
only where one is set for development. The key determines the algorithm, never the token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import time
from typing import Any, TypeGuard

import jwt

from wallet_core.domain.model.access import Person
from wallet_grpc.errors.kinds import CredentialsInvalid
from wallet_grpc.security.access import Principal, Scope
from wallet_grpc.security.claims import ABSENT, Claims, first, words
from wallet_grpc.security.keys import KeySet

DEVELOPMENT = "HS256"
# The issuer of development tokens, unless another one is set.
DEVELOPMENT_ISSUER = "walletctl"
_BY_KEY = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
_NAME_MAX = 256
# Verified tokens in the cache; when it is full, it is cleared.
_CHECKED_MAX = 1000
_NEVER = 2**53


@dataclass(frozen=True, slots=True)
class _Checked:
    """A verified token: its content, its expiry, and the key that verified it."""

    principal: Principal
    header: Mapping[str, Any]
    key: object
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Verifies tokens of one issuer."""

    issuer: str
    audience: str
    leeway_s: float
    keys: KeySet | None
    secret: str | None
    clients: Mapping[str, str] | None
    """The names of calling systems, by their client id.

    None in development mode without callers: the client id is the caller's name.
    """
    claims: Claims
    size_max: int
    """The longest token, in bytes."""

    _checked: dict[str, _Checked] = field(default_factory=dict, init=False, repr=False, compare=False)

    def principal(self, token: str) -> Principal:
        """Return the caller of a token; raise ``CredentialsInvalid``.

        A signature, the most expensive check, is verified once. The result is cached until the token expires or its
        key is no longer the issuer's.
        """
        checked = self._checked.get(token)
        if checked is not None and time() < checked.until and self._key(checked.header)[0] is checked.key:
            return checked.principal
        header, key, claims = self._claims(token)
        principal = self._principal(claims)
        if len(self._checked) >= _CHECKED_MAX:
            self._checked.clear()
        self._checked[token] = _Checked(principal, header, key, min(int(claims["exp"]), _NEVER) + self.leeway_s)
        return principal

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        client = first(claims, self.claims.clients)
        if not _is_name(client) or (self.clients is not None and client not in self.clients):
            raise CredentialsInvalid("the token's client is unknown")
        caller = client if self.clients is None else self.clients[client]
        said = words(first(claims, self.claims.scopes))
        scopes = frozenset(known for known in Scope if known in said)
        owner = first(claims, self.claims.owners)
        if owner is ABSENT:
            return Principal(caller, scopes, None, _person(claims))
        if not _is_name(owner):
            raise CredentialsInvalid("the token's owner is not a name")
        return Principal(caller, scopes, owner, _person(claims))

    def _claims(self, token: str) -> tuple[Mapping[str, Any], object, Mapping[str, Any]]:
        """Return a token's header, the key that verified it, and its claims."""
        if len(token) > self.size_max:
            raise CredentialsInvalid("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
            key, algorithm = self._key(header)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self.issuer,
                audience=self.audience,
                leeway=self.leeway_s,
                options={"require": ["exp", "iss", "aud"]},
            )
            return header, key, claims  # noqa: TRY300  # all of it is foreign data
        except jwt.ExpiredSignatureError:
            raise CredentialsInvalid("the token has expired") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise CredentialsInvalid("the token is for another service, or from another issuer") from None
        except CredentialsInvalid:
            raise
        except Exception:  # noqa: BLE001  # foreign data: any failure in a library denies access
            raise CredentialsInvalid("the token is not valid") from None

    def _key(self, header: Mapping[str, Any]) -> tuple[Any, str]:
        """Return the key that verifies a token, and the only algorithm for that key."""
        if header.get("alg") == DEVELOPMENT and self.secret is not None:
            return self.secret, DEVELOPMENT
        key_id = header.get("kid")
        key = self.keys.find(key_id) if self.keys is not None and isinstance(key_id, str) else None
        if key is None:
            raise CredentialsInvalid("the token's key is unknown")
        return key.key, _BY_KEY[str(key.key_type)]


def _person(claims: Mapping[str, Any]) -> Person:
    said = [claims.get("sub", ""), claims.get("jti", "")]
    if not all(one == "" or _is_name(one) for one in said):
        raise CredentialsInvalid("the token's subject or id is not a name")
    return Person(*said)


def _is_name(said: object) -> TypeGuard[str]:
    return isinstance(said, str) and 0 < len(said) <= _NAME_MAX and said.isprintable()
