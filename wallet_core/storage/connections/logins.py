"""Two logins: one migrates and owns, the other serves and owns nothing.

Server and scheduler act as the service's role, but ``SET ROLE NONE`` returns to the login: an attacker with a
connection has the login's privileges.
"""

from contextlib import suppress

from psycopg import sql
from psycopg.errors import DuplicateObject, UniqueViolation

from wallet_core.storage.connections.engine import SERVICE_ROLE, Engine, Tx, transaction
from wallet_core.storage.errors import served

# For the login and all roles that it is a member of, because it can act as each of them. pg_shdepend has every owner
# but the cluster's first superuser. The owner of the database or of a schema can drop what is in it.
_EXCESS = """
SELECT session_user, rolname, rolsuper, rolcreaterole, owns
FROM pg_roles AS role, LATERAL (
    SELECT EXISTS (
        SELECT FROM pg_shdepend AS owned, pg_database AS here
        WHERE here.datname = current_database()
            AND owned.deptype = 'o' AND owned.refclassid = 'pg_authid'::regclass AND owned.refobjid = role.oid
            AND (owned.dbid = here.oid OR owned.classid = 'pg_database'::regclass AND owned.objid = here.oid)
    ) AS owns
) AS owning
WHERE pg_has_role(session_user, role.oid, 'MEMBER') AND (rolsuper OR rolcreaterole OR owns)
ORDER BY rolname <> session_user, rolname
LIMIT 1
"""

_MEMBER = "SELECT pg_has_role(oid, %s, 'MEMBER') FROM pg_roles WHERE rolname = %s"


def excess_privileges_of(engine: Engine) -> str | None:
    """Return, as a phrase, which privileges of *engine*'s login are too many for serving; None where none are.

    Raises ``ServiceError``.
    """
    with served(), transaction(engine) as tx:
        found = tx.execute(_EXCESS).fetchone()
    if found is None:
        return None
    login, role, is_superuser, creates_roles, owns = found
    may = {
        "is a superuser": is_superuser,
        "may create roles": creates_roles,
        "owns the database or something in it": owns,
    }
    as_member = "" if role == login else f", as a member of {role}"
    return f"the database login {login} {' and '.join(text for text, so in may.items() if so)}{as_member}"


def make_login(tx: Tx, login: str, password: str | None) -> None:
    """Create a login that is a member of the service's role only; an existing login becomes a member.

    The password of an existing login does not change.
    """
    known = tx.execute(_MEMBER, (SERVICE_ROLE, login)).fetchone()
    name, role = sql.Identifier(login), sql.Identifier(SERVICE_ROLE)
    if known is None:
        made = sql.SQL("CREATE ROLE {} LOGIN {} IN ROLE {}").format(name, _password(tx, login, password), role)
        # Another database of this cluster may be migrated at the same moment.
        with suppress(DuplicateObject, UniqueViolation), tx.transaction():
            tx.execute(made)
    elif known == (False,):
        tx.execute(sql.SQL("GRANT {} TO {}").format(role, name))


def _password(tx: Tx, login: str, password: str | None) -> sql.Composable:
    """Return the clause that sets a password, not in clear: statements end up in the server's log."""
    if password is None:
        return sql.SQL("")
    return sql.SQL("PASSWORD {}").format(tx.pgconn.encrypt_password(password.encode(), login.encode()).decode())
