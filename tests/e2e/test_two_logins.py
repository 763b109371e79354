"""``walletctl up`` migrates by one login and serves by another, which owns nothing."""

from pathlib import Path

import psycopg
from typer.testing import CliRunner

from tests.conftest import FAST
from wallet_core.bootstrap import open_app
from wallet_core.settings import read_settings
from walletctl.cli import cli
from walletctl.local.service import FREE_PORTS, local_service


def test_up_serves_by_a_login_that_owns_nothing(tmp_path: Path) -> None:
    """Server and scheduler are connected by it alone, a production would take it; commands still find the owner's."""

    state = tmp_path / "state"
    with local_service(state, ports=FREE_PORTS, bank_fail_rate=0.0, progress=lambda _: None) as local:
        running = local.running
        with psycopg.connect(running.database_owner_url) as owner:
            connected = owner.execute(
                "SELECT DISTINCT application_name, usename FROM pg_stat_activity WHERE application_name LIKE 'wallet-%'"
                " ORDER BY 1"
            ).fetchall()
            owned = owner.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
        with open_app(
            read_settings(**dict(FAST, mode="production", database_url=running.database_url)), name="tests"
        ) as app:
            app.ping()
        migrated, verified = (
            CliRunner().invoke(cli, ["--state", str(state), command], env={"WALLET_LOG_LEVEL": "ERROR"})
            for command in ("migrate", "verify")
        )

    assert connected == [("wallet-grpc", "wallet_app"), ("wallet-scheduler", "wallet_app")]
    assert owned == [("wallet",)]
    assert (migrated.exit_code, verified.exit_code) == (0, 0), migrated.output + verified.output
