"""Authenticates the caller, and checks the scope of the call before its request is parsed.

A token, where one is sent, identifies the caller; otherwise the client certificate of the connection does.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import grpc

from wallet_core.domain.model.access import Person
from wallet_core.domain.model.errors import PermissionMissing
from wallet_grpc.errors.kinds import CredentialsInvalid
from wallet_grpc.interceptors.wrapping import Wrapping
from wallet_grpc.security.access import LOCAL, SCOPES, Principal, Scope, principal_of, remember
from wallet_grpc.security.tls import names_in
from wallet_grpc.security.tokens import Tokens

_BEARER = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """The accepted credentials: tokens, certificates, both, or none: then every caller has all scopes."""

    tokens: Tokens | None = None
    certificates: Mapping[str, Principal] | None = None
    """The callers by a name in their certificate."""
    scopes: Mapping[str, Scope | None] = field(default_factory=lambda: SCOPES)
    """The scope that each call requires."""

    @contextmanager
    def permitted(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        """Raise ``CredentialsInvalid`` or ``PermissionMissing`` unless the caller may make the call."""
        principal = self._principal(context)
        remember(context, principal)
        if method not in self.scopes:
            raise PermissionMissing("none")
        scope = self.scopes[method]
        if scope is not None and scope not in principal.scopes:
            raise PermissionMissing(scope)
        yield

    def check_again(self, context: grpc.ServicerContext) -> None:
        """Raise ``CredentialsInvalid`` where a call's credentials are no longer valid."""
        if self._principal(context) != principal_of(context):
            raise CredentialsInvalid("the caller's permissions have changed")

    def interceptor(self) -> Wrapping:
        """Return the interceptor. A stream may outlast its credentials, so it checks them before every message."""
        return Wrapping(self.permitted, before_each=self.check_again)

    def _principal(self, context: grpc.ServicerContext) -> Principal:
        if self.tokens is None and self.certificates is None:
            return LOCAL
        sent = [str(value) for key, value in context.invocation_metadata() if key == "authorization"]
        if sent and self.tokens is not None:
            if len(sent) > 1 or not sent[0].lower().startswith(_BEARER):
                raise CredentialsInvalid("`authorization` must be one bearer token")
            return self.tokens.principal(sent[0][len(_BEARER) :].strip())
        if self.certificates is not None:
            return self._by_certificate(context, self.certificates)
        raise CredentialsInvalid("send the metadata `authorization: Bearer` with a token")

    @staticmethod
    def _by_certificate(context: grpc.ServicerContext, known: Mapping[str, Principal]) -> Principal:
        certificates: Iterable[bytes] = context.auth_context().get("x509_pem_cert", ())  # type: ignore[assignment]  # mistyped
        names = sorted({name for one in certificates for name in names_in(one) if name in known})
        found = {known[name] for name in names}
        if len(found) != 1:
            raise CredentialsInvalid("the certificate names no known caller, or several")
        return replace(found.pop(), person=Person(" ".join(names)))
