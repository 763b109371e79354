"""Signing in at an OpenID provider: the code flow with PKCE (RFC 7636)."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt

from wallet_console.sessions import new_id
from wallet_console.settings import ConsoleSettings

_ATTEMPT_S = 600.0
_ATTEMPTS_MAX = 1000
_TIMEOUT_S = 10.0
_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
_NOT_REACHED = "The sign-in provider cannot be reached. Try again in a moment."
_NOT_ACCEPTED = "The sign-in was not completed. Nothing was done: sign in again."


class Refused(Exception):
    """Nobody was signed in; the text is a key of the translations."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class _Attempt:
    state: str
    nonce: str
    verifier: str
    wanted: str
    begun: float


class Provider:
    """The provider, and the attempts to sign in that are under way."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._back = f"{(settings.url or '').rstrip('/')}/login/back"
        self._attempts: dict[str, _Attempt] = {}
        self._metadata: dict[str, Any] = {}

    async def begin(self, wanted: str) -> tuple[str, str]:
        """Return the provider's address for a new attempt, and what binds the attempt to its browser."""
        metadata = await self._described()
        attempt = _Attempt(
            state=new_id(),
            nonce=new_id(),
            verifier=secrets.token_urlsafe(64),
            wanted=wanted,
            begun=monotonic(),
        )
        query = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id or "",
            "redirect_uri": self._back,
            "scope": self._settings.oidc_scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": _challenge(attempt.verifier),
            "code_challenge_method": "S256",
            **({"audience": self._settings.oidc_audience} if self._settings.oidc_audience else {}),
        }
        id_ = new_id()
        self._attempts[id_] = attempt
        while len(self._attempts) > _ATTEMPTS_MAX:
            del self._attempts[next(iter(self._attempts))]
        endpoint = str(metadata["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", id_

    async def end(self, id_: str, answer: dict[str, str]) -> tuple[str, str]:
        """Return the token that an attempt has brought, and the page that was wanted. An attempt ends once."""
        attempt = self._attempts.pop(id_, None)
        if attempt is None or monotonic() - attempt.begun > _ATTEMPT_S:
            raise Refused(_NOT_ACCEPTED)
        if not secrets.compare_digest(attempt.state.encode(), answer.get("state", "").encode()) or "code" not in answer:
            raise Refused(_NOT_ACCEPTED)
        metadata = await self._described()
        # RFC 9207: an answer of another provider is not taken for one of this.
        if answer.get("iss", metadata["issuer"]) != metadata["issuer"]:
            raise Refused(_NOT_ACCEPTED)
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": self._back,
            "client_id": self._settings.oidc_client_id or "",
            "code_verifier": attempt.verifier,
        }
        secret = self._settings.oidc_client_secret
        auth = httpx.BasicAuth(form["client_id"], secret.get_secret_value()) if secret is not None else httpx.Auth()
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
                answered = await client.post(metadata["token_endpoint"], data=form, auth=auth)
                if answered.is_client_error:
                    raise Refused(_NOT_ACCEPTED)
                token = answered.raise_for_status().json()
                keys = (await client.get(metadata["jwks_uri"])).raise_for_status().json()
                self._check(str(token["id_token"]), keys, attempt)
                return str(token["access_token"]), attempt.wanted
        except httpx.HTTPError:
            raise Refused(_NOT_REACHED) from None
        except (KeyError, TypeError, ValueError):
            raise Refused(_NOT_ACCEPTED) from None

    def _check(self, id_token: str, keys: Any, attempt: _Attempt) -> None:  # noqa: ANN401  # of JSON
        """Check that the answer is for this attempt, by the ID token."""
        try:
            key_id = jwt.get_unverified_header(id_token).get("kid")
            found = jwt.PyJWKSet.from_dict(keys).keys
            key = next(one for one in found if key_id is None or one.key_id == key_id)
            claims = jwt.decode(
                id_token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._settings.oidc_client_id,
                issuer=self._metadata["issuer"],
                leeway=30,
                options={"require": ["exp", "iat", "iss", "aud", "nonce"]},
            )
        except (jwt.PyJWTError, StopIteration):
            raise Refused(_NOT_ACCEPTED) from None
        if not secrets.compare_digest(str(claims["nonce"]).encode(), attempt.nonce.encode()):
            raise Refused(_NOT_ACCEPTED)

    async def _described(self) -> dict[str, Any]:
        """Return what the provider says of itself, read once."""
        if not self._metadata:
            address = f"{(self._settings.oidc_issuer or '').rstrip('/')}/.well-known/openid-configuration"
            try:
                async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
                    metadata = (await client.get(address)).raise_for_status().json()
            except (httpx.HTTPError, ValueError):
                raise Refused(_NOT_REACHED) from None
            if metadata.get("issuer") != self._settings.oidc_issuer:
                raise Refused(_NOT_ACCEPTED)
            self._metadata = metadata
        return self._metadata


def _challenge(verifier: str) -> str:
    """Return what the provider is shown of the verifier, which only the console can present later."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
