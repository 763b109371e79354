"""What a new call needs beside its proto and its servicer: each part that is forgotten fails a test here."""

import inspect
import json
import re
from importlib import resources

from tools.generate_sync_client import NAMES
from wallet_client import AsyncWalletClient, WalletClient
from wallet_grpc.descriptors import CALLS, SERVICES

POLICY = json.loads(resources.files("wallet.v1").joinpath("wallet_grpc_service_config.json").read_text())


def snake(name: str) -> str:
    """Return a method's name as Python has it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def test_every_call_has_a_method_of_both_clients() -> None:
    """By the same name, with a docstring that has an example and the errors; and none is of no call."""

    calls = {snake(path.rpartition("/")[2]) for path in CALLS}
    for client in (AsyncWalletClient, WalletClient):
        methods = {name for name, _ in inspect.getmembers(client, callable) if not name.startswith("_")}
        assert methods - {"close", "is_serving", "read_page"} == calls
        documents = {name: (inspect.getdoc(getattr(client, name)) or "").split() for name in calls}
        assert [name for name, words in documents.items() if not {"Raises:", "Example:"} <= set(words)] == []


def test_every_service_has_the_retry_policy() -> None:
    """A channel retries by it; a service that it does not name would never be retried."""

    named = [name["service"] for name in POLICY["methodConfig"][0]["name"]]

    assert sorted(named) == sorted(SERVICES)
    assert "retryPolicy" in POLICY["methodConfig"][0]


def test_every_stream_has_a_timeout_of_its_own() -> None:
    """Or it would end with that of a call that answers once."""

    own = {f"/{name['service']}/{name['method']}" for one in POLICY["methodConfig"][1:] for name in one["name"]}

    assert own == {path for path, call in CALLS.items() if call.streams}


def test_the_generated_client_knows_the_stub_of_every_service() -> None:
    """The stub for threads takes the place of that for asyncio."""

    stubs = {service.rpartition(".")[2] for service in SERVICES}

    assert {f"{stub}AsyncStub": f"{stub}Stub" for stub in stubs}.items() <= NAMES.items()
