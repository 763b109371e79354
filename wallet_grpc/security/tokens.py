"""Tokens: signed words of an issuer that we trust about who is calling and what they may do.

A token is a JWT by RS256, ES256 or EdDSA, checked by the issuer's public keys; by HS256, checked by a shared secret,
only where one is set for development. Which key may check which algorithm is never the token's choice.
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
# Of tokens for development, unless another one is set.
DEVELOPMENT_ISSUER = "walletctl"
_BY_KEY = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
_NAME_MAX = 256
# So many tokens are known again, as many as callers may have at a time; then all are forgotten.
_CHECKED_MAX = 1000
_NEVER = 2**53


@dataclass(frozen=True, slots=True)
class _Checked:
    """What a token was found to say, until when it holds, and what it was checked by."""

    principal: Principal
    header: Mapping[str, Any]
    key: object
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Reads tokens of one issuer."""

    issuer: str
    audience: str
    leeway_s: float
    keys: KeySet | None
    secret: str | None
    clients: Mapping[str, str] | None
    """The names of calling systems, by the id that the issuer gives each.

    None in a development that names nobody: whoever calls is called by that id.
    """
    claims: Claims
    size_max: int
    """The longest token, in bytes."""

    _checked: dict[str, _Checked] = field(default_factory=dict, init=False, repr=False, compare=False)

    def principal(self, token: str) -> Principal:
        """Return who a token stands for; raise ``CredentialsInvalid`` where it stands for nobody.

        A signature is checked once, for that takes longer than all else here. While the token lasts, and its key is
        still the issuer's, it is the same one.
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
            raise CredentialsInvalid("the token's client is not known here")
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
        """Return a token's header, the key that it was checked by, and what it claims."""
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
            return header, key, claims  # noqa: TRY300  # all of it is a stranger's
        except jwt.ExpiredSignatureError:
            raise CredentialsInvalid("the token has expired") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise CredentialsInvalid("the token is another service's, or another issuer's") from None
        except CredentialsInvalid:
            raise
        except Exception:  # noqa: BLE001  # a stranger's words: whatever they do to a library, they let nobody in
            raise CredentialsInvalid("the token is not valid") from None

    def _key(self, header: Mapping[str, Any]) -> tuple[Any, str]:
        """Return the key that a token is to be checked by, and the only algorithm that goes with it."""
        if header.get("alg") == DEVELOPMENT and self.secret is not None:
            return self.secret, DEVELOPMENT
        key_id = header.get("kid")
        key = self.keys.find(key_id) if self.keys is not None and isinstance(key_id, str) else None
        if key is None:
            raise CredentialsInvalid("the token's key is not known here")
        return key.key, _BY_KEY[str(key.key_type)]


def _person(claims: Mapping[str, Any]) -> Person:
    said = [claims.get("sub", ""), claims.get("jti", "")]
    if not all(one == "" or _is_name(one) for one in said):
        raise CredentialsInvalid("the token's subject or its own id is not a name")
    return Person(*said)


def _is_name(said: object) -> TypeGuard[str]:
    return isinstance(said, str) and 0 < len(said) <= _NAME_MAX and said.isprintable()
