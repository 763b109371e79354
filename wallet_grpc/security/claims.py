"""Which claims of a token say who calls and what they may do: every identity provider has words of its own.

Where several may say it, the first that a token has decides alone, also where it says nothing: a right that one claim
withholds is not found in another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

Claim: TypeAlias = str | tuple[str, ...]
"""A claim's name, or the way to it through claims that have others in them."""


class Absent:
    """Stands for a claim that a token does not have."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims to read, of each kind in order."""

    scopes: Sequence[Claim]
    clients: Sequence[Claim]
    owners: Sequence[Claim]


def _claims(*, scopes: Sequence[Claim], clients: Sequence[Claim]) -> Claims:
    return Claims(scopes=scopes, clients=clients, owners=("owner",))


PROVIDERS: Mapping[str, Callable[[str], Claims]] = MappingProxyType(
    {
        # RFC 9068, and what came before it.
        "standard": lambda _: _claims(scopes=("scope",), clients=("client_id", "azp", "sub")),
        # Roles of the client that stands for this service, where the token has any, else its client scopes.
        "keycloak": lambda audience: _claims(
            scopes=(("resource_access", audience, "roles"), "scope"), clients=("azp", "client_id")
        ),
        # With its RBAC and "Add Permissions in the Access Token" the user's own, else what the client was granted.
        "auth0": lambda _: _claims(scopes=("permissions", "scope"), clients=("azp", "client_id")),
        "okta": lambda _: _claims(scopes=("scp",), clients=("cid",)),
        # A client that acts for a user has scopes, one that acts for itself has roles. Tokens of version 1 say appid.
        "entra": lambda _: _claims(scopes=("scp", "roles"), clients=("azp", "appid")),
    }
)
"""What each provider's tokens say, by the service's audience."""


def first(said: Mapping[str, Any], claims: Sequence[Claim]) -> object:
    """Return what the first of these claims says that is there, ``ABSENT`` where none is."""
    for claim in claims:
        found: Any = said
        for name in (claim,) if isinstance(claim, str) else claim:
            found = found.get(name, ABSENT) if isinstance(found, Mapping) else ABSENT
        if found is not ABSENT:
            return found
    return ABSENT


def words(said: object) -> frozenset[str]:
    """Return the words of a claim that is a text of them, or a list of them; of any other there are none."""
    if isinstance(said, str):
        return frozenset(said.split())
    return frozenset(one for one in said if isinstance(one, str)) if isinstance(said, list) else frozenset()
