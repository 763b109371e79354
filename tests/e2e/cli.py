"""``walletctl`` in this process, against a running server."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from typer import testing
from typer.testing import CliRunner, Result

from walletctl.cli import cli

# To build the commands takes longer than most of them run; they keep nothing from one run to the next.
testing._get_command = cache(testing._get_command)  # type: ignore[attr-defined]  # noqa: SLF001  # its runner's


@dataclass(frozen=True, slots=True)
class Walletctl:
    """Runs commands against one server and its database."""

    target: str
    database_url: str

    def __call__(self, *arguments: str, typed: str | None = None) -> Result:
        """Run a command, with what is *typed* on its standard input."""
        # A command whose value starts with a dash is typed after `--`, as in any shell.
        return CliRunner().invoke(
            cli,
            ["--target", self.target, *arguments],
            env={"WALLET_DATABASE_URL": self.database_url, "WALLET_LOG_LEVEL": "ERROR"},
            input=typed,
        )

    def json(self, *arguments: str, typed: str | None = None) -> Any:  # noqa: ANN401  # JSON
        """Run a command that succeeds with ``--json``; return what it printed."""
        done = self(*arguments, "--json", typed=typed)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def balance(self, wallet: str) -> int:
        """Return a wallet's balance in minor units."""
        return int(self.json("wallet", "get", wallet)["balance"]["minor_units"])
