"""Starts that are refused: a production that lacks something, and a server that would be open to all."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scheduler.process import main as scheduler
from tests.support.issuer import ISSUER, SECRET
from tests.support.processes import environment
from tests.support.start_up import Main, StartUp
from wallet_core.settings import SettingsError, read_settings
from wallet_core.startup_checks import (
    Part,
    allow_unauthenticated,
    bank,
    callers,
    database,
    migrating,
    require_production,
)
from wallet_grpc.server.process import main as server
from walletctl.cli import cli

EVERYWHERE = "0.0.0.0"  # noqa: S104  # what is looked at
AWAY = "postgresql://a:secret-of-a@db.example/c"

PRODUCTION: dict[str, Any] = {
    "mode": "production",
    "database_url": f"{AWAY}?sslmode=verify-full",
    "tls_certificate": Path("a"),
    "tls_key": Path("b"),
    "auth_keys": "https://issuer.example/keys",
    "auth_issuer": ISSUER,
    "callers": {"shop": {"clients": ["shop-client"]}, "billing": {"clients": ["billing-client"]}},
    "bank_url": "https://bank.example",
    "bank_token_file": Path("c"),
}
PARTS: tuple[Part, ...] = (database, migrating, callers, bank)


def lacking(**changes: object) -> str:
    """Return what a production that is complete but for some changes is refused with; nothing where it starts."""
    try:
        require_production(read_settings(**{**PRODUCTION, **changes}), *PARTS)
    except SettingsError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"database_url": None}, "WALLET_DATABASE_URL is not set"),
        ({"database_url": AWAY}, "WALLET_DATABASE_URL leads to another machine without a verified TLS: add sslmode="),
        ({"database_url": "nonsense"}, "WALLET_DATABASE_URL is not a PostgreSQL URL"),
        ({"database_owner_url": AWAY}, "WALLET_DATABASE_OWNER_URL leads to another machine"),
        ({"tls_certificate": None, "tls_key": None}, "WALLET_TLS_CERTIFICATE and WALLET_TLS_KEY are not set"),
        ({"auth_keys": None}, "neither WALLET_AUTH_KEYS (tokens) nor WALLET_TLS_CLIENT_CA (certificates) is set"),
        ({"auth_keys": "http://issuer.example/keys"}, "WALLET_AUTH_KEYS is not an https:// address or a file"),
        ({"callers": {}}, "WALLET_CALLERS names no caller"),
        ({"auth_dev_secret": SECRET}, "WALLET_AUTH_DEV_SECRET is set, which is for development only"),
        ({"allow_unauthenticated": True}, "WALLET_ALLOW_UNAUTHENTICATED is set, which is for development only"),
        (
            {"admin_host": EVERYWHERE, "metrics_port": 9000},
            "WALLET_ADMIN_HOST is 0.0.0.0: every client that reaches",
        ),
        (
            {"admin_host": EVERYWHERE, "channelz_port": 9000},
            "WALLET_ADMIN_HOST is 0.0.0.0: every client that reaches",
        ),
        ({"bank_url": None}, "WALLET_BANK_URL is not set"),
        ({"bank_url": "http://bank.example"}, "WALLET_BANK_URL leads to another machine and is not https://"),
        ({"bank_token_file": None}, "set WALLET_BANK_TOKEN_FILE or WALLET_BANK_TOKEN (a bearer token), or by https"),
        (
            {  # over http no certificate is shown
                "bank_url": "http://127.0.0.1:1",
                "bank_token_file": None,
                "bank_certificate": Path("a"),
                "bank_key": Path("b"),
            },
            "WALLET_BANK_CERTIFICATE and WALLET_BANK_KEY (a client certificate)",
        ),
    ],
)
def test_a_production_with_a_missing_setting_does_not_start(changes: dict[str, Any], named: str) -> None:
    """What is missing, or must not be there, is named with what to set; no secret is repeated."""

    assert lacking() == ""
    result = lacking(**changes)
    assert result.startswith("WALLET_MODE is production, but ")
    assert named in result
    assert "secret-of-a" not in result


@pytest.mark.parametrize(
    "changes",
    [
        {"database_url": "postgresql://a@127.0.0.1/c"},
        {"database_url": "postgresql://a@localhost:5433/c"},
        {"database_url": "postgresql://a@[::1]/c"},
        {"database_url": "postgresql://a@/c?host=/run/postgresql"},
        {"database_url": "postgresql:///c"},
        {"database_url": f"{AWAY}?sslmode=verify-full&sslrootcert=/etc/ca.pem"},
        {"database_owner_url": "postgresql://a@127.0.0.1/c"},
        {"auth_keys": "keys.json"},
        {"auth_keys": None, "tls_client_ca": Path("a")},
        {"admin_host": EVERYWHERE},
        {"metrics_port": 9000, "channelz_port": 9001},
        {"bank_url": "http://127.0.0.1:8010"},
        {"bank_token_file": None, "bank_token": "a-token"},
        {"bank_token_file": None, "bank_certificate": Path("a"), "bank_key": Path("b")},
    ],
)
def test_a_production_starts_with_all_that_is_right(changes: dict[str, Any]) -> None:
    """On this machine the path is private; and no page is open on a port that is not set."""

    assert lacking(**changes) == ""


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://a@db.example/c?sslmode=require",
        "postgresql://a@db.example/c?sslmode=verify-ca",
        "postgresql://a@127.0.0.1,db.example/c",
        "postgresql://a@/c?host=127.0.0.1:1&host=db.example:2",
        "postgresql://a@localhost/c?hostaddr=10.0.0.1",
        "postgresql://a@127.0.0.1/c?service=elsewhere",
        "postgresql://a@127.0.0.1.example/c",
    ],
)
def test_a_database_on_another_machine_must_be_verified_by_name(url: str) -> None:
    """Encrypted is not enough: any server could answer. One host of many is one too many."""

    assert "WALLET_DATABASE_URL leads to another machine" in lacking(database_url=url)


@pytest.mark.parametrize(
    ("variable", "value", "url", "is_right"),
    [
        ("PGHOST", "db.example", "postgresql:///c", False),
        ("PGHOSTADDR", "10.0.0.1", "postgresql://a@127.0.0.1/c", False),
        ("PGSSLMODE", "verify-full", AWAY, True),
        ("PGSSLMODE", "verify-full", f"{AWAY}?sslmode=require", False),
    ],
)
def test_what_the_url_leaves_out_is_libpqs(
    variable: str,
    value: str,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_right: bool,
) -> None:
    """It connects by its own variables too."""

    monkeypatch.setenv(variable, value)

    assert (lacking(database_url=url) == "") is is_right


SERVER_LACKS = ("DATABASE_URL", "TLS_CERTIFICATE", "AUTH_KEYS", "CALLERS")
SCHEDULER_LACKS = ("DATABASE_URL", "BANK_URL", "BANK_TOKEN_FILE")


@pytest.mark.parametrize(
    ("main", "named", "others"),
    [(server, SERVER_LACKS, ("BANK",)), (scheduler, SCHEDULER_LACKS, ("TLS_CERTIFICATE", "CALLERS"))],
    ids=["server", "scheduler"],
)
def test_each_process_names_at_once_all_that_it_lacks_itself(
    start_up: StartUp, main: Main, named: tuple[str, ...], others: tuple[str, ...]
) -> None:
    """And nothing that is another's business; exit code 1, a line, no traceback."""

    ended = start_up(main, mode="production")

    assert ended.code == 1
    (output,) = ended.error_output.splitlines()
    assert [name for name in named if f"WALLET_{name}" not in output] == []
    assert [name for name in others if name in output] == []


@pytest.mark.parametrize("command", ["migrate", "verify"])
def test_walletctl_goes_to_the_database_of_a_production_by_a_verified_way_alone(command: str) -> None:
    """It holds the owner's password, or reads everything."""

    done = CliRunner().invoke(cli, [command], env=environment({"mode": "production", "database_url": AWAY}))

    assert done.exit_code == 1
    assert "WALLET_DATABASE_URL leads to another machine without a verified TLS" in done.output
    assert "secret-of-a" not in done.output


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "WALLET_BANK_URL is not set: set it, or run `make up`"),
        ({"bank_url": "https://bank.example", "bank_token_file": "/no/such"}, "/no/such"),
        ({"bank_url": "https://bank.example", "bank_token": "two words"}, "the token that is set: holds no token"),
        ({"bank_url": "https://bank.example", "bank_ca": "/no/such"}, "/no/such"),
    ],
)
def test_a_scheduler_starts_by_no_bank_that_it_cannot_call(
    start_up: StartUp, settings: dict[str, object], text: str
) -> None:
    """In a development too, and before it connects to its database."""

    ended = start_up(scheduler, database_url="postgresql://a@127.0.0.1:1/c", **settings)

    assert ended.code == 1
    (output,) = ended.error_output.splitlines()
    assert text in output
    assert "two words" not in output


OPEN: tuple[dict[str, Any], ...] = (
    {"grpc_host": EVERYWHERE},
    {"grpc_host": "[::]"},
    {"grpc_host": "::"},
    {"grpc_host": "::ffff:10.0.0.1"},
    {"admin_host": "[::]", "metrics_port": 9000},
    {"grpc_host": ""},
    {"grpc_host": "10.0.0.1"},
    {"grpc_host": "wallet.internal"},
    {"admin_host": EVERYWHERE, "metrics_port": 9000},
    {"admin_host": EVERYWHERE, "channelz_port": 9000},
)
CLOSED: tuple[dict[str, Any], ...] = (
    {},
    *({"grpc_host": host} for host in ("127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]")),
    {"grpc_host": EVERYWHERE, "auth_dev_secret": SECRET},
    {"grpc_host": EVERYWHERE, "auth_keys": "keys.json", "auth_issuer": ISSUER},
    {"grpc_host": EVERYWHERE, **{name: Path("a") for name in ("tls_certificate", "tls_key", "tls_client_ca")}},
    {"admin_host": EVERYWHERE},
)


@pytest.mark.parametrize("settings", OPEN)
def test_allowing_unauthenticated_calls_must_be_configured(settings: dict[str, Any]) -> None:
    """Then it is returned, for a warning."""

    with pytest.raises(SettingsError, match=r"every client that reaches it .*WALLET_ALLOW_UNAUTHENTICATED=true"):
        allow_unauthenticated(read_settings(**settings))
    (result,) = allow_unauthenticated(read_settings(**settings, allow_unauthenticated=True))
    assert "every client that reaches it" in result


@pytest.mark.parametrize("settings", CLOSED)
def test_what_is_not_open_starts_and_warns_of_nothing(settings: dict[str, Any]) -> None:
    """On this machine, or where callers are authenticated."""

    assert allow_unauthenticated(read_settings(**settings)) == []


def test_a_server_logs_it_at_every_start(start_up: StartUp) -> None:
    """Without the setting it ends; else it warns, and continues to the next step, here: no database."""

    refused = start_up(server, grpc_host=EVERYWHERE)
    assert (refused.code, "WALLET_ALLOW_UNAUTHENTICATED=true" in refused.error_output) == (1, True)
    warning, ended = start_up(server, grpc_host=EVERYWHERE, allow_unauthenticated=True).error_output.splitlines()
    assert warning == "warning: WALLET_GRPC_HOST is 0.0.0.0: every client that reaches it has all scopes"
    assert "WALLET_DATABASE_URL is not set" in ended


@pytest.mark.parametrize(
    ("settings", "reflects"),
    [
        ({}, True),
        ({"grpc_reflection": False}, False),
        ({"mode": "production"}, False),
        ({"mode": "production", "grpc_reflection": True}, True),
    ],
)
def test_a_production_serves_reflection_only_if_configured(settings: dict[str, Any], *, reflects: bool) -> None:
    """A development does."""

    assert read_settings(**settings).reflection is reflects


def test_half_of_what_the_bank_knows_us_by_is_refused() -> None:
    """As for the server's own files."""

    changes: dict[str, Any]
    for changes in ({"bank_certificate": Path("a")}, {"bank_token": "a", "bank_token_file": Path("a")}):
        with pytest.raises(SettingsError, match="WALLET_BANK_"):
            read_settings(**changes)
