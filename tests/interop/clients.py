"""The callers in other languages: how each is built, from the protos on, and how it is run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.toolchain import require, required

HERE = Path(__file__).parent
SERVICE_CONFIG = HERE.parents[1] / "protos" / "wallet" / "v1" / "wallet_grpc_service_config.json"
# The longest that it may take to build one from nothing, on a slow day of the registries, and to run it.
BUILD_TIMEOUT_S = 300
RUN_TIMEOUT_S = 120

# What a caller saw, by the step.
Seen = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program that builds or runs a caller."""

    version: Sequence[str]
    """The command that prints its version."""
    at_least: Sequence[int]
    remedy: str
    """How to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What a command fetches, once for each change of a lock."""

    command: Sequence[str]
    lock: str
    fetched: str
    """The file that the command writes last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A caller in one language; its folder is named after that."""

    tools: Sequence[Tool]
    packages: Packages | None = None
    """What has to be there before it is built; None where the build itself fetches what it needs."""
    build: Sequence[Sequence[str]]
    """The commands that build it, the code of our protos first."""
    run: Sequence[str]


CLIENTS = {
    "go": Client(
        tools=[Tool(version=["go", "version"], at_least=[1, 26], remedy="see go.dev")],
        build=[
            # A tool is built when it is first needed: one at a time, or both build what they share.
            ["go", "tool", "protoc-gen-go", "--version"],
            ["go", "tool", "protoc-gen-go-grpc", "--version"],
            ["buf", "generate"],
            ["go", "build", "-buildvcs=false", "-o", "gen/interop", "."],
        ],
        run=["gen/interop"],
    ),
    "typescript": Client(
        tools=[
            Tool(version=["node", "--version"], at_least=[20], remedy="see nodejs.org"),
            Tool(version=["npm", "--version"], at_least=[9], remedy="it comes with Node.js"),
        ],
        packages=Packages(
            command=["npm", "ci", "--silent"], lock="package-lock.json", fetched="node_modules/.package-lock.json"
        ),
        build=[["npm", "run", "--silent", "build"]],
        run=["node", "gen/js/src/main.js"],
    ),
    "java": Client(
        tools=[
            Tool(version=["javac", "-version"], at_least=[17], remedy="a JDK, from adoptium.net or your system"),
            Tool(version=["mvn", "-B", "-version"], at_least=[3, 8], remedy="Maven, from your system"),
        ],
        # Messages of an earlier build would be compiled again, though no proto has them any more.
        build=[
            ["rm", "-rf", "target/generated-sources", "target/classes", "target/protobuf-maven-plugin"],
            ["mvn", "-q", "-B", "-ntp", "compile", "dependency:copy-dependencies"],
        ],
        run=["java", "-cp", "target/classes:target/lib/*", "com.example.wallet.interop.Main"],
    ),
}


@cache
def build(language: str) -> None:
    """Build a caller, once; skip the test where its tools are not installed, or where it is not required.

    To build all takes minutes.
    """
    if not required():
        pytest.skip("callers in Go, TypeScript and Java are built and run by `make interop`")
    client = CLIENTS[language]
    for tool in client.tools:
        require(tool.version, tool.at_least, tool.remedy)
    commands = [*client.build]
    if client.packages is not None and _changed_since_fetched(HERE / language, client.packages):
        commands.insert(0, client.packages.command)
    for command in commands:
        _succeed(language, command, _environment(), timeout_s=BUILD_TIMEOUT_S)


def run(language: str, variables: Mapping[str, str]) -> Seen:
    """Run a caller that was built; return what it saw."""
    # Not all of our environment: a proxy would come between it and the server.
    env = {name: value for name, value in _environment().items() if name in {"PATH", "HOME"}}
    output = _succeed(language, CLIENTS[language].run, {**env, **variables}, timeout_s=RUN_TIMEOUT_S)
    return _steps(output)


@contextmanager
def failing_over(language: str, variables: Mapping[str, str]) -> Iterator[Seen]:
    """Have a caller that was built transfer until the end of the block; then what is yielded has what it saw."""
    env = {name: value for name, value in _environment().items() if name in {"PATH", "HOME"}}
    command = [*CLIENTS[language].run, "failover"]
    seen: dict[str, Mapping[str, Any]] = {}
    with subprocess.Popen(
        command, cwd=HERE / language, env={**env, **variables}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as ran:
        try:
            yield seen
            output, _ = ran.communicate(timeout=RUN_TIMEOUT_S)
            seen.update(_steps(output))
        finally:
            ran.kill()


def _steps(message: str) -> Seen:
    return {line["step"]: line["saw"] for line in map(json.loads, message.splitlines())}


def _changed_since_fetched(folder: Path, packages: Packages) -> bool:
    fetched = folder / packages.fetched
    return not fetched.exists() or fetched.stat().st_mtime < (folder / packages.lock).stat().st_mtime


def _environment() -> dict[str, str]:
    """Return the toolchains' own variables, and a path on which our tools are, too: buf among them."""
    theirs = dict(os.environ)  # noqa: TID251  # they are not ours
    return {**theirs, "PATH": os.pathsep.join([str(Path(sys.executable).parent), theirs["PATH"]])}


def _succeed(language: str, command: Sequence[str], env: Mapping[str, str], *, timeout_s: float) -> str:
    ran = subprocess.run(
        command, cwd=HERE / language, env=env, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout
