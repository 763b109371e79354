"""The wheels as they are published: the client works from its own, with its declared dependencies and nothing else."""

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

from wallet_core.storage.connections.readiness import VERSIONS

ROOT = Path(__file__).parents[2]
PROJECTS = {"wallet-client": ROOT / "packaging" / "wallet-client", "wallet-grpc": ROOT}
DECLARED = {"googleapis-common-protos", "grpcio", "protobuf"}
CALL = """
import asyncio, sys
from wallet_client import AsyncWalletClient, CallFailed, WalletClient

async def story(target):
    async with AsyncWalletClient(target) as wallets:
        print(await wallets.is_serving(), (await wallets.get_wallet("wallets/from-the-wheel")).currency_code)

with WalletClient(sys.argv[1]) as wallets:
    print(wallets.create_wallet("from-the-wheel", "USD").wallet.name)
    try:
        wallets.create_wallet("from-the-wheel", "USD")
    except CallFailed as error:
        print(error.reason, error.metadata["resourceName"])
asyncio.run(story(sys.argv[1]))
print(sorted(name for name in sys.modules if name.partition(".")[0] in {"wallet_core", "wallet_grpc", "grpc_status"}))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build both, without a network."""
    out = tmp_path_factory.mktemp("wheels")
    for project in PROJECTS.values():
        build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
        built = subprocess.run(build, cwd=project, capture_output=True, text=True, timeout=120, check=False)
        assert built.returncode == 0, built.stderr
    return {path.name.partition("-")[0].replace("_", "-"): path for path in out.glob("*.whl")}


def files_in(wheel: Path) -> set[str]:
    """Return the files of a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as packed:
        return {name for name in packed.namelist() if ".dist-info/" not in name}


def project(name: str) -> dict[str, object]:
    """Return what a distribution declares."""
    declared: dict[str, object] = tomllib.loads((PROJECTS[name] / "pyproject.toml").read_text())["project"]
    return declared


def closure(names: set[str]) -> Iterator[Distribution]:
    """Yield these installed distributions and all that they require."""
    seen: set[str] = set()
    while names - seen:
        name = min(names - seen)
        seen.add(name)
        found = distribution(name)
        names |= {re.split(r"[\s;\[<>=!~(]", one)[0].lower() for one in found.requires or () if "extra ==" not in one}
        yield found


def test_the_client_has_types_the_retry_policy_and_the_protoset(wheels: dict[str, Path]) -> None:
    """What a user's type checker, channels and tools look for."""

    names = files_in(wheels["wallet-client"])

    assert {f"{package}/py.typed" for package in ("wallet", "wallet_client", "buf")} <= names
    assert {
        f"wallet/v1/wallet{name}" for name in ("_grpc_service_config.json", ".protoset.binpb", "_service_pb2.pyi")
    } <= names
    assert {name.partition("/")[0] for name in names} == {"wallet", "wallet_client", "buf"}


def test_both_wheels_can_be_installed_side_by_side(wheels: dict[str, Path]) -> None:
    """They share no file; the server requires the client of its own version, for the generated code and walletctl."""

    client, server = files_in(wheels["wallet-client"]), files_in(wheels["wallet-grpc"])

    assert client & server == set()
    assert {name.partition("/")[0] for name in server} == {
        "wallet_core", "wallet_grpc", "wallet_console", "scheduler", "bank_stub", "walletctl",
    }  # fmt: skip
    version = project("wallet-client")["version"]
    assert project("wallet-grpc")["version"] == version
    assert f"wallet-client=={version}" in project("wallet-grpc")["dependencies"]  # type: ignore[operator]  # a list


def test_the_server_has_the_statements_of_its_migrations(wheels: dict[str, Path]) -> None:
    """Alembic finds them beside the migrations, not as modules."""

    statements = {str(path.relative_to(ROOT)) for path in VERSIONS.rglob("*.sql")}

    assert statements
    assert statements <= files_in(wheels["wallet-grpc"])


def test_the_client_requires_no_more_than_the_server_does() -> None:
    """Its dependencies are gRPC and protobuf, from the same versions on."""

    dependencies = set(project("wallet-client")["dependencies"])  # type: ignore[call-overload]  # a list

    assert {re.split("[<>=]", one)[0] for one in dependencies} == DECLARED
    assert dependencies <= set(project("wallet-grpc")["dependencies"])  # type: ignore[call-overload]  # a list


def test_the_client_calls_from_its_wheel_in_an_empty_environment(
    wheels: dict[str, Path], server: str, tmp_path: Path
) -> None:
    """With its declared dependencies, linked from this environment, and nothing else."""

    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    for one in closure(set(DECLARED)):
        for file in one.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).symlink_to(Path(str(one.locate_file(file))).resolve())
    install = ["--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheels["wallet-client"])]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, timeout=120)

    ran = subprocess.run(
        [python, "-I", "-c", CALL, server],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={"PATH": os.defpath},
    )

    assert ran.stdout.splitlines() == [
        "wallets/from-the-wheel",
        "RESOURCE_EXISTS wallets/from-the-wheel",
        "True USD",
        "[]",
    ], ran.stderr
