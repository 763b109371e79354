"""``walletctl verify`` and ``checkpoints``: the documented way of an auditor, and what each refuses."""

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from typer.testing import CliRunner, Result

from scheduler.jobs import write_checkpoints
from tests.conftest import FAST, PATIENT
from tests.e2e.cli import Walletctl
from tests.support.books import deposit, open_wallet
from tests.support.database import Database
from tests.support.rows import without_triggers
from tests.support.toolchain import installed
from wallet_client import WalletClient
from wallet_core.bootstrap import open_app
from wallet_core.gateways.checkpoint_keys import new_key
from wallet_core.settings import read_settings
from wallet_core.usecases.app import App
from walletctl.cli import cli
from walletctl.local.running import Running
from walletctl.local.service import Ports, local_service
from walletctl.local.waiting import wait_until
from walletctl.seed import seed

pytestmark = pytest.mark.timeout(300)

AUDIT = Path(__file__).parents[2] / "docs" / "how-to" / "audit.md"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the state directory of a local service."""
    return tmp_path_factory.mktemp("audited") / "state"


@pytest.fixture(scope="module")
def service(state: Path) -> Iterator[Running]:
    """Run the whole service as ``up`` does, with one checkpoint."""
    with local_service(
        state, ports=Ports(grpc=0, bank=0, console=0), bank_fail_rate=0.0, progress=lambda _: None
    ) as local:
        with WalletClient(local.running.target) as client:
            seed(client)
            assert wait_until(lambda: list(client.export_checkpoints()) != [], timeout_s=60)
        yield local.running


def test_the_local_service_signs_checkpoints_with_a_key_of_its_own(service: Running, state: Path) -> None:
    """For its owner only; the next start takes the same one."""

    assert service.target
    assert stat.S_IMODE((state / "checkpoints.pem").stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR


def test_documented_commands_of_an_audit_succeed(service: Running, state: Path, tmp_path: Path) -> None:
    """Each in order, in one folder, with this service's addresses, and its public key as the operator gives it."""

    text = AUDIT.read_text()
    (statement,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    with psycopg.connect(service.database_owner_url, autocommit=True) as owner:
        owner.execute(statement.encode())
    url = urlunsplit(urlsplit(service.database_url)._replace(netloc="auditor@"))
    with WalletClient(service.target) as client:
        (first, *_) = client.export_checkpoints()
        (key,) = client.list_checkpoint_keys()
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    script = "".join(blocks).replace("$ ", "").replace("wallet.example:50051", service.target)
    script = re.sub(r"'postgresql://auditor.*'", f"'{url}'", script).replace("41000", str(first.number))
    script = re.sub(r"'postgresql://wallet_owner.*'", f"'{service.database_owner_url}'", script)
    # The service was started with another key than the one that the first command makes.
    (tmp_path / "service.pem").write_text(key.pem)
    script = script.replace("> public.pem", "> public.pem && cat service.pem >> public.pem")
    lines = script.replace("walletctl ", f'"{installed("walletctl")}" --state "{state}" ')

    done = subprocess.run(
        ["bash", "-ec", lines],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},  # noqa: TID251  # the shell's own
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "0 journal records dropped" in done.stdout
    assert done.stdout.count("the ledger is consistent") == 3  # by call, by the login, and since the first checkpoint
    kept = (tmp_path / "kept.jsonl").read_text().splitlines()
    assert json.loads(kept[0])["number"] == first.number


@pytest.fixture
def audited(walletctl: Walletctl, app: App, database: Database, tmp_path: Path) -> Iterator["Audited"]:
    """Return commands for a service with a signed checkpoint."""
    del app  # its server serves
    key = tmp_path / "signing.pem"
    new_key(key)
    settings = read_settings(
        **{**FAST, **PATIENT, "database_url": database.url},
        checkpoints_signing_key=key,
        checkpoints_every_records=1,
    )
    with open_app(settings, name="tests") as signing:
        deposit(signing, open_wallet(signing, "alice"), 5)
        found = Audited(walletctl, signing, database.url)
        found.sign()
        yield found


class Audited:
    """Commands by the service's calls, and at its database."""

    def __init__(self, by_call: Walletctl, app: App, url: str) -> None:
        self.by_call = by_call
        self._app = app
        self._url = url

    def sign(self) -> None:
        """Publish all events, and sign a checkpoint."""
        while self._app.journal.write(1000):
            pass
        write_checkpoints.run_once(self._app, limit=1)

    def more(self, wallet: str) -> None:
        """Let more happen, and sign a checkpoint of that."""
        open_wallet(self._app, wallet)
        self.sign()

    def at_database(self, *arguments: str) -> Result:
        """Run a command without a service."""
        env = {"WALLET_DATABASE_URL": self._url, "WALLET_LOG_LEVEL": "ERROR", "WALLETCTL_TARGET": None}
        return CliRunner().invoke(cli, list(arguments), env=env)

    def both(self, *arguments: str) -> tuple[Result, Result]:
        """Run a command in both ways."""
        return self.by_call(*arguments), self.at_database(*arguments)


def broken(done: Result) -> dict[str, str]:
    """Return the broken rules of a report, each with its first broken row."""
    report: dict[str, Any] = json.loads(done.stdout)
    found = {rule["name"]: rule["first_broken"] for rule in report["rules"] if rule["broken"]}
    assert (report["consistent"], done.exit_code) == (not found, int(bool(found)))
    return found


def test_a_broken_ledger_ends_verify_with_1_in_both_ways(audited: Audited, owner: psycopg.Connection) -> None:
    """With the same report, and for a person with the row."""

    assert [broken(done) for done in audited.both("verify", "--json")] == [{}, {}]
    with without_triggers(owner):
        owner.execute(b"UPDATE wallets SET balance = 6 WHERE id = 'alice'")
    reports = audited.both("verify", "--json")
    shown = audited.both("verify")
    with without_triggers(owner):
        owner.execute(b"UPDATE wallets SET balance = 5 WHERE id = 'alice'")

    assert [broken(done) for done in reports] == [{"balances": "wallets/alice", "nothing_invented": "USD"}] * 2
    assert reports[0].stdout == reports[1].stdout
    for done in shown:
        assert (done.exit_code, "wallets/alice" in done.stdout, "stop servers" in done.stderr) == (1, True, True)


def test_an_export_continues_its_file(audited: Audited, tmp_path: Path) -> None:
    """Also after a line that was not written completely; then verify compares the file with the ledger."""

    file = tmp_path / "kept.jsonl"
    assert "1 new checkpoints" in audited.by_call("checkpoints", "export", str(file)).stdout
    audited.more("bob")
    with file.open("a") as opened:
        opened.write('{"number": 3, "stat')
    assert "1 new checkpoints" in audited.by_call("checkpoints", "export", str(file)).stdout
    assert "0 new checkpoints" in audited.by_call("checkpoints", "export", str(file)).stdout

    assert file.read_text() == audited.by_call("checkpoints", "export", "-").stdout
    assert [row["number"] for row in audited.by_call.json("checkpoints", "list")] == [2, 3]
    assert [broken(done) for done in audited.both("verify", "--json", "--kept", str(file))] == [{}, {}]


def test_a_changed_history_is_found_by_the_kept_file(
    audited: Audited, owner: psycopg.Connection, tmp_path: Path
) -> None:
    """By the export, which leaves the file as it is, and by verify."""

    file = tmp_path / "kept.jsonl"
    audited.by_call("checkpoints", "export", str(file))
    before = file.read_text()
    with without_triggers(owner):
        owner.execute(b"DELETE FROM checkpoints")
    audited.more("bob")

    refused = audited.by_call("checkpoints", "export", str(file))
    assert (refused.exit_code, "its history was changed" in refused.stderr) == (1, True)
    assert file.read_text() == before
    for done in audited.both("verify", "--json", "--kept", str(file)):
        assert broken(done) == {"kept_checkpoints": "checkpoint 2"}


def test_keys_that_were_given_are_trusted_and_no_others(audited: Audited, tmp_path: Path) -> None:
    """The public half that ``new-key`` prints is such a file."""

    foreign = audited.by_call("checkpoints", "new-key", str(tmp_path / "other.pem"))
    own = audited.by_call("checkpoints", "keys")
    files = {}
    for name, done in {"own": own, "foreign": foreign}.items():
        files[name] = tmp_path / f"{name}.pem"
        files[name].write_text(done.stdout)

    assert broken(audited.at_database("verify", "--json", "--keys", str(files["own"]))) == {}
    found = broken(audited.at_database("verify", "--json", "--keys", str(files["foreign"])))
    assert found == {"checkpoints": "checkpoint 2"}
    (key,) = audited.by_call.json("checkpoints", "keys")
    assert key["pem"] == own.stdout


def test_a_check_that_cannot_run_ends_with_the_reason(audited: Audited, tmp_path: Path) -> None:
    """Exit code 2 for what was typed, 1 for what does not exist."""

    (tmp_path / "bad.jsonl").write_text("{}\n")
    bad, missing = str(tmp_path / "bad.jsonl"), str(tmp_path / "missing")
    for done, code, text in (
        (audited.at_database("verify", "--since", "1"), 1, "no checkpoints/1 that a trusted key has signed"),
        (audited.by_call("verify", "--since", "1"), 1, "RESOURCE_NOT_FOUND"),
        (audited.by_call("verify", "--as-login"), 2, "leave out --target"),
        (audited.by_call("verify", "--keys", bad), 2, "leave out --target"),
        (audited.at_database("verify", "--kept", bad), 2, "line 1 is no checkpoint"),
        (audited.at_database("verify", "--kept", missing), 2, "No such file"),
        (audited.at_database("verify", "--keys", bad), 1, "bad.jsonl"),
        (audited.by_call("checkpoints", "export", bad), 2, "line 1 is no checkpoint"),
        (audited.by_call("checkpoints", "new-key", bad), 2, "File exists"),
    ):
        assert (done.exit_code, text in done.output.replace("\n", "")) == (code, True), done.output


def test_any_number_of_connections_gives_the_same_report(audited: Audited) -> None:
    """Whatever the number of connections, the report is the same."""

    reports = {audited.at_database("verify", "--json", "--connections", str(number)).stdout for number in (1, 2, 3)}

    assert len(reports) == 1
    assert broken(audited.at_database("verify", "--json", "--one-snapshot")) == {}
    assert broken(audited.at_database("verify", "--json", "--since", "2")) == {}
