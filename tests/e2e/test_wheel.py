"""The package as it is published: the client works from the wheel alone, and types come with it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CALL = """
import sys
from wallet_client import WalletClient
assert ".whl" in sys.modules["wallet_client"].__file__, sys.modules["wallet_client"].__file__
with WalletClient(sys.argv[1]) as wallets:
    print(wallets.create_wallet("from-the-wheel", "USD").wallet.name)
print(sorted(name for name in sys.modules if name.partition(".")[0] in {"wallet_core", "sqlalchemy", "psycopg"}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it."""
    out = tmp_path_factory.mktemp("wheel")
    build = ["-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    built = subprocess.run([sys.executable, *build], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_has_the_types_the_retry_policy_and_the_protoset(wheel: Path) -> None:
    """What a user's type checker and channels look for."""

    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())

    shipped = {f"{package}/py.typed" for package in ("wallet", "wallet_client")}
    shipped |= {
        f"wallet/v1/wallet{name}" for name in ("_grpc_service_config.json", ".protoset.binpb", "_service_pb2.pyi")
    }
    assert shipped <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "tools/", ".wallet"))]


def test_the_client_calls_from_the_wheel_without_the_servers_libraries(wheel: Path, server: str) -> None:
    """Nothing but gRPC and the protos is imported."""

    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(wheel)!r})\n{CALL}", server],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=wheel.parent,
    )

    assert ran.stdout.splitlines() == ["wallets/from-the-wheel", "[]"], ran.stderr
