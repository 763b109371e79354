"""Finds out who is calling, and lets them do only what they may: before their request is so much as read.

A token, where one is sent, says who calls; else the certificate that the connection was made with.
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
    """Whom calls are taken from: those with a token, those with a certificate, or, where neither is set, everybody."""

    tokens: Tokens | None = None
    certificates: Mapping[str, Principal] | None = None
    """Who may call, by a name in their certificate."""
    scopes: Mapping[str, Scope | None] = field(default_factory=lambda: SCOPES)
    """What each call takes."""

    @contextmanager
    def permitted(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        """Raise ``CredentialsInvalid`` or ``PermissionMissing`` unless this caller may make this call."""
        principal = self._principal(context)
        remember(context, principal)
        if method not in self.scopes:
            raise PermissionMissing("none")
        scope = self.scopes[method]
        if scope is not None and scope not in principal.scopes:
            raise PermissionMissing(scope)
        yield

    def check_again(self, context: grpc.ServicerContext) -> None:
        """Raise ``CredentialsInvalid`` where what a call came with does not hold any more."""
        if self._principal(context) != principal_of(context):
            raise CredentialsInvalid("what the caller may do has changed")

    def interceptor(self) -> Wrapping:
        """Return the interceptor. A stream may outlast what its caller came with, so that is looked at again."""
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
            raise CredentialsInvalid("the certificate names nobody who is known here, or several")
        return replace(found.pop(), person=Person(" ".join(names)))
