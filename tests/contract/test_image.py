"""What the image has, and what containers listen on: no engine is needed to see it."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
OURS = ("wallet_core", "wallet_grpc", "wallet_client", "wallet_console", "scheduler", "bank_stub", "walletctl")
GENERATED = {"wallet", "buf"}


def locked(name: str) -> dict[str, str]:
    """Return the packages of a lock file with their versions, and the hashes of each.

    Without the markers: a tool of a development may need a package on more platforms than serving does.
    """
    lines = re.sub(r"\\\n|^ *#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE).splitlines()
    parts = (line.partition("--hash") for line in lines if "==" in line)
    return {package.partition(";")[0].strip(): hashes for package, _, hashes in parts}


def names(lock: dict[str, str]) -> set[str]:
    """Return the packages' names."""
    return {line.partition("==")[0] for line in lock}


def normal(name: str) -> str:
    """Return a package's name as locks have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(extra: str) -> set[str]:
    """Return the names that an optional part of the package needs."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][extra]
    return {normal(re.split(r"[\[><=]", one)[0]) for one in wanted}


def imported(*, at_start: bool) -> Iterator[str]:
    """Yield what our processes import, as packages: by the modules themselves, or anywhere in them."""
    found = packages_distributions()
    for path in (path for package in OURS for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in tree.body if at_start else ast.walk(tree):
            modules = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for top in {module.partition(".")[0] for module in modules} - {*OURS, *GENERATED} - sys.stdlib_module_names:
                yield normal(found[top][0])


def test_the_lock_for_serving_is_a_part_of_the_other() -> None:
    """The versions and files that are tested are those that serve."""

    serving, everything = locked("requirements-serve.txt"), locked("requirements.txt")

    assert len(serving) > 30
    assert serving.items() <= everything.items()
    assert all(serving.values())


def test_locks_name_no_address() -> None:
    """Where packages come from is each machine's own affair."""

    for name in ("requirements.txt", "requirements-serve.txt"):
        text = (ROOT / name).read_text()
        assert re.findall(r"://|--index|--find-links|--trusted|file:| @ ", text) == []


def test_what_serves_is_locked_and_no_tool_of_a_development_is() -> None:
    """All that a process imports when it starts; what is imported later, and not there, is of a development."""

    serving = names(locked("requirements-serve.txt"))
    tools = required("dev") - {"wallet-grpc"} | required("local")

    assert set(imported(at_start=True)) <= serving
    assert set(imported(at_start=False)) <= serving | required("local")
    assert serving & tools == set()


def test_the_image_installs_that_lock_and_begins_as_a_production() -> None:
    """By hashes, as a user that may do nothing."""

    assert re.findall(r"^RUN pip install (.*)$", DOCKERFILE, re.MULTILINE) == [
        "--no-cache-dir --require-hashes -r requirements-serve.txt"
    ]
    assert "WALLET_MODE=production" in DOCKERFILE
    assert DOCKERFILE.index("USER wallet") < DOCKERFILE.index("CMD")
    assert set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE)) == {*OURS, "gen"}


def test_images_of_others_are_named_by_their_content() -> None:
    """A tag is moved by its owner; a digest cannot be."""

    taken = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) + re.findall(r"^ +image: (\S+)", COMPOSE, re.MULTILINE)

    assert len(taken) == 2
    assert [image for image in taken if not re.fullmatch(r"\w+:[\w.-]+@sha256:[0-9a-f]{64}", image)] == []


def test_compose_publishes_on_this_machine_alone() -> None:
    """It is a development, without authentication."""

    published = re.findall(r'^ +- "(\S+:\d+)"$', COMPOSE, re.MULTILINE)

    assert len(published) == COMPOSE.count("ports:") == 3
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert "WALLET_MODE: development" in COMPOSE
