"""The check of a production: ``python -m tests.prod_check``, or ``make prod-check``.

Starts everything in production mode on this machine, with certificates, keys and tokens of its own and a database login
that owns nothing; moves money over TLS and pays out by https; verifies the ledger; ends everything by SIGTERM. Exit
code 1 where anything is not as it should be. The database is reached on this machine by a password: the PostgreSQL that
is brought along speaks no TLS.
"""

import argparse
import ssl
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import TimeoutExpired
from time import monotonic

import httpx
from rich.markup import escape

from tests.prod_check.production import CheckFailed, Production, running_production
from wallet_client import Amount, CallError, WalletClient, as_dict
from walletctl.local.errors import CannotStart
from walletctl.local.postgres import LocalPostgres
from walletctl.local.waiting import wait_until
from walletctl.output import out

_PAID_S = 30.0
_ENDED = {"STATE_SUCCEEDED", "STATE_FAILED"}


def main(arguments: Sequence[str]) -> int:
    """Run the check before a person's eyes; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.prod_check", description=__doc__)
    parser.add_argument("--without", help="a variable that is left out, to see the check fail")
    without = parser.parse_args(arguments).without
    began = monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="wallet-prod-check-") as folder:
            _check(Path(folder), without)
    except (CheckFailed, CannotStart, CallError, httpx.HTTPError, TimeoutExpired) as failed:
        out.print(f"[bold red]The production does not hold:[/] {escape(str(failed))}", soft_wrap=True)
        return 1
    out.print(f"[bold green]The production holds.[/] [dim]{monotonic() - began:.0f} s[/]")
    return 0


def _check(folder: Path, without: str | None) -> None:
    with _step("PostgreSQL, where a password is asked for"):
        postgres = LocalPostgres(folder / "state", tcp=True, settings={"fsync": "off"})
        owner_url = postgres.start()
    with postgres, running_production(folder, owner_url, without) as production:
        with _step("migrated by its owner, and the login that serves is made"):
            production.run("migrate", "walletctl", "migrate", database_owner_url=owner_url)
        with _step("the bank, by https, with a bearer token"):
            production.bank_url = _bank(production)
        with _step("the server, by TLS"):
            port = production.start("server", "wallet_grpc", ready=r'"port": (\d+), "event": "serving"')
        with _step("the scheduler"):
            production.start("scheduler", "scheduler", ready=r'("event": "running")')
        _use(production, f"localhost:{port}")
        with _step("the books are right"):
            production.run("verify", "walletctl", "verify")
        with _step("everything ends by SIGTERM with 0"):
            codes = production.stop()
            _must(f"all of them: {codes}", codes == {"scheduler": 0, "server": 0, "bank": 0})


def _bank(production: Production) -> str:
    file = production.secrets.file
    secured = ("--certificate", file("bank.pem"), "--key", file("bank-key.pem"), "--token-file", file("bank-token"))
    return production.start(
        "bank",
        *("bank_stub", "--port", "0", "--fail-rate", "0", *map(str, secured)),
        ready=r"listening on (https://\S+)",
    )


def _use(production: Production, target: str) -> None:
    tls, token = production.secrets.tls(), production.secrets.token()
    with _step("strangers are let in by neither"):
        _refuse_strangers(production, target)
    with WalletClient(target, tls=tls, token=token) as client:
        with _step("a transfer"):
            for wallet in ("alice", "bob"):
                client.create_wallet(wallet, "USD")
            client.deposit("wallets/alice", Amount("USD", 1000))
            client.transfer("wallets/alice", "wallets/bob", Amount("USD", 400))
            _must("bob has it", client.get_wallet("wallets/bob").balance.minor_units == 400)
        with _step("a payout, which the bank's own ledger shows once"):
            name = client.schedule_withdrawal("wallets/bob", Amount("USD", 300)).withdrawal.name
            wait_until(lambda: _state(client, name) in _ENDED, timeout_s=_PAID_S)
            _must(f"it has succeeded: {_state(client, name)}", _state(client, name) == "STATE_SUCCEEDED")
            with _bank_client(production, production.secrets.file("bank-token").read_text()) as bank:
                lines = bank.get("/ledger").raise_for_status().json()["lines"]
            paid = [(line["kind"], line["amount"]) for line in lines]
            _must(f"it was paid once: {paid}", paid == [("execution", 300)])


def _refuse_strangers(production: Production, target: str) -> None:
    with WalletClient(target, tls=production.secrets.tls()) as nobody:
        try:
            nobody.get_wallet("wallets/alice")
        except CallError as refused:
            _must(f"a call without a token is refused: {refused.reason}", refused.reason == "CREDENTIALS_INVALID")
        else:
            raise CheckFailed("a call without a token was answered")
    with WalletClient(target) as in_the_clear:
        _must("nothing is said in the clear", not in_the_clear.is_serving(1.0))
    with _bank_client(production, "nobody's") as bank:
        _must("the bank wants its token", bank.get("/ledger").status_code == httpx.codes.UNAUTHORIZED)


def _bank_client(production: Production, token: str) -> httpx.Client:
    trusted = ssl.create_default_context(cafile=production.secrets.file("ca.pem"))
    shown = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=production.bank_url, verify=trusted, headers=shown, trust_env=False)


def _state(client: WalletClient, name: str) -> str:
    return str(as_dict(client.get_withdrawal(name))["state"])


@contextmanager
def _step(what: str) -> Iterator[None]:
    began = monotonic()
    try:
        yield
    except BaseException:
        out.print(f"  [bold red]✗[/] {what}")
        raise
    out.print(f"  [green]✓[/] {what} [dim]{monotonic() - began:.1f} s[/]")


def _must(what: str, held: bool) -> None:  # noqa: FBT001  # reads as a sentence
    if not held:
        raise CheckFailed(f"not so: {what}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
