"""``walletctl token`` and ``certs``: what they make is what the server takes, and the commands use it."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support.issuer import SECRET
from wallet_client import Tls
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.server.process import authentication, credentials
from wallet_grpc.server.serving import serving
from walletctl.cli import cli
from walletctl.commands.service import seed_service
from walletctl.context import Context


def run(*arguments: str, **environment: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(cli, arguments, env=environment)


def a_token(*arguments: str) -> str:
    """Return a token for development."""
    done = run("token", *arguments, WALLET_AUTH_DEV_SECRET=SECRET)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_a_token_permits_what_its_scopes_grant(app: App, settings: Settings) -> None:
    """Given in the environment, or as an option.

    Without one, or with too little in it, the refusal explains what to do.
    """

    guarded = settings.replaced(auth_dev_secret=SECRET)
    with serving(app, guarded, authentication(guarded)) as port:
        target = f"127.0.0.1:{port}"
        create = ("--target", target, "wallet", "create", "alice", "--currency", "USD")
        nobody = run(*create)
        little = run("--token", a_token("shop", "--scope", "wallet.read"), *create)
        done = run(*create, WALLETCTL_TOKEN=a_token("shop"))

    assert (nobody.exit_code, little.exit_code, done.exit_code) == (1, 1, 0)
    assert "authorization: Bearer" in nobody.output
    assert "wallet.write" in little.output
    assert "Traceback" not in nobody.output + little.output


def test_a_token_on_the_command_line_is_refused_with_the_variable_to_use() -> None:
    """All users of a machine can see the arguments of its processes."""

    output, options = run("token", "--help").output, run("--help").output

    assert "export WALLETCTL_TOKEN=$(walletctl token shop)" in output
    assert "all users of a machine can see arguments" in " ".join(options.replace("│", " ").split())


def test_a_token_needs_a_secret() -> None:
    """Which is named, with what to do."""

    done = run("token", "shop")

    assert done.exit_code == 1
    assert "WALLET_AUTH_DEV_SECRET" in done.output


def test_certificates_are_taken_from_both_sides(app: App, settings: Settings, tmp_path: Path) -> None:
    """An authority, a server's and a client's certificate; the keys are for their owner only."""

    made = run("certs", str(tmp_path), "--client", "shop.internal")
    assert made.exit_code == 0, made.output
    files = {
        name: tmp_path / f"{name}.pem" for name in ("ca", "server", "server-key", "shop.internal", "shop.internal-key")
    }
    assert set(tmp_path.iterdir()) == set(files.values())
    assert {stat.S_IMODE(files[name].stat().st_mode) for name in ("server-key", "shop.internal-key")} == {0o600}
    callers = {"shop": {"certificates": ["shop.internal"], "certificate_scopes": ["wallet.write"]}}
    found = {"tls_certificate": files["server"], "tls_key": files["server-key"], "tls_client_ca": files["ca"]}
    guarded = settings.replaced(**{**found, "callers": callers})
    with serving(app, guarded, authentication(guarded), credentials(guarded)) as port:
        shown = ["--target", f"localhost:{port}", "--ca", str(files["ca"])]
        shown += ["--certificate", str(files["shop.internal"]), "--key", str(files["shop.internal-key"])]
        done = run(*shown, "wallet", "create", "alice", "--currency", "USD", "--json")
        several = ["--target", f"ipv4:127.0.0.1:{port},127.0.0.2:{port}", *shown[2:]]
        nameless = run(*several, "wallet", "create", "bob", "--currency", "USD")
        named = run(*several, "--server-name", "localhost", "wallet", "create", "bob", "--currency", "USD")

    assert (nameless.exit_code, named.exit_code) == (2, 0), named.output
    assert "several hosts" in nameless.output
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["name"] == "wallets/alice"


def test_up_without_credentials_prints_how_to_seed(app: App, settings: Settings, tmp_path: Path) -> None:
    """The service runs all the same; what is missing is named, within the time that connecting takes."""

    assert run("certs", str(tmp_path)).exit_code == 0
    guarded = settings.replaced(
        tls_certificate=tmp_path / "server.pem", tls_key=tmp_path / "server-key.pem", auth_dev_secret=SECRET
    )
    ca = Tls(ca=(tmp_path / "ca.pem").read_bytes())
    with serving(app, guarded, authentication(guarded), credentials(guarded)) as port:
        target = f"localhost:{port}"
        in_the_clear = seed_service(Context(target, tmp_path), target)
        without_token = seed_service(Context(target, tmp_path, tls=ca), target)
        seeded = seed_service(Context(target, tmp_path, tls=ca, token=a_token("shop")), target)

    assert [text.partition(".")[0] for text in (in_the_clear, without_token)] == ["nothing", "nothing"]
    assert "--ca" in in_the_clear
    assert "`walletctl seed`" in without_token
    assert seeded.startswith("alice, bob")


@pytest.mark.parametrize("option", ["--ca", "--certificate", "--key"])
def test_a_file_that_is_not_there_is_named(option: str) -> None:
    """A usage error, no traceback."""

    done = run("--target", "localhost:1", option, "/no/such.pem", "wallet", "list")

    assert done.exit_code == 2
    assert "/no/such.pem" in done.output
