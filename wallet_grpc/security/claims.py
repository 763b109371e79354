"""The claims of a token for client, scopes and owner: every identity provider has its own.

Of several claims, the first that a token has is decisive, even if it is empty: a permission that one claim withholds is
not taken from another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

Claim: TypeAlias = str | tuple[str, ...]
"""A claim's name, or the path to a nested claim."""


class Absent:
    """Represents a missing claim."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims to read, in order of preference."""

    scopes: Sequence[Claim]
    clients: Sequence[Claim]
    owners: Sequence[Claim]


def _claims(*, scopes: Sequence[Claim], clients: Sequence[Claim]) -> Claims:
    return Claims(scopes=scopes, clients=clients, owners=("owner",))


PROVIDERS: Mapping[str, Callable[[str], Claims]] = MappingProxyType(
    {
        # RFC 9068 and its predecessors.
        "standard": lambda _: _claims(scopes=("scope",), clients=("client_id", "azp", "sub")),
        # The roles for this service, where the token has any; otherwise the client scopes.
        "keycloak": lambda audience: _claims(
            scopes=(("resource_access", audience, "roles"), "scope"), clients=("azp", "client_id")
        ),
        # With RBAC and "Add Permissions in the Access Token" the user's permissions, otherwise the client's.
        "auth0": lambda _: _claims(scopes=("permissions", "scope"), clients=("azp", "client_id")),
        "okta": lambda _: _claims(scopes=("scp",), clients=("cid",)),
        # A client that acts for a user has scopes, one that acts for itself has roles. Version 1 has appid.
        "entra": lambda _: _claims(scopes=("scp", "roles"), clients=("azp", "appid")),
    }
)
"""The claims of each provider, by the service's audience."""


def first(said: Mapping[str, Any], claims: Sequence[Claim]) -> object:
    """Return the value of the first claim that is present; ``ABSENT`` where none is."""
    for claim in claims:
        found: Any = said
        for name in (claim,) if isinstance(claim, str) else claim:
            found = found.get(name, ABSENT) if isinstance(found, Mapping) else ABSENT
        if found is not ABSENT:
            return found
    return ABSENT


def words(said: object) -> frozenset[str]:
    """Return the words of a claim that is a text or a list; none for any other value."""
    if isinstance(said, str):
        return frozenset(said.split())
    return frozenset(one for one in said if isinstance(one, str)) if isinstance(said, list) else frozenset()
