"""The API reference has everything that the protos declare, leads nowhere that is not there, and is fresh."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import Default
from wallet.v1.error_reason_pb2 import ErrorReason

from tools.generate_api_docs import main
from wallet_grpc.descriptors import CALLS, SCOPE_WORDS, SERVICES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "api.md").read_text()

Described = Descriptor | EnumDescriptor

METHODS: list[MethodDescriptor] = [
    method for name in SERVICES for method in Default().FindServiceByName(name).methods_by_name.values()
]


def files() -> Iterator[FileDescriptor]:
    """Return every file of ours that a service needs."""
    waiting = [Default().FindServiceByName(name).file for name in SERVICES]
    seen: set[str] = set()
    while waiting:
        file = waiting.pop()
        declares = file.name == "wallet/v1/access.proto"  # no part of what is sent
        if file.package == "wallet.v1" and file.name not in seen and not declares:
            seen.add(file.name)
            waiting.extend(file.dependencies)
            yield file


def types() -> Iterator[Described]:
    """Return every message and enum of ours, nested ones too; a map's entry is none."""
    waiting: list[Described] = []
    for file in files():
        waiting += [*file.message_types_by_name.values(), *file.enum_types_by_name.values()]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Descriptor):
            if one.GetOptions().map_entry:
                continue
            waiting += [*one.nested_types, *one.enum_types]
        yield one


def headings(page: str) -> list[str]:
    """Return the headings of a page."""
    return re.findall(r"^#+ (.*)$", page, re.MULTILINE)


def anchors(page: str) -> list[str]:
    """Return what the headings of a page are linked by."""
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings(page)]


def sections(page: str) -> dict[str, str]:
    """Return the text below each heading, up to the next."""
    return dict(re.findall(r"^#+ (.*)\n([\s\S]*?)(?=^#+ |\Z)", page, re.MULTILINE))


def rows(text: str) -> list[str]:
    """Return the names in the first column of the first table; none where the text declares that there are none."""
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    if table is None:
        assert "\nIt has no fields.\n" in text
        return []
    return re.findall(r"^\| (?:· )?`(\w+)` \|", table[0], re.MULTILINE)


def names_in(one: Described) -> list[str]:
    """Return the names of a message's fields or of an enum's values, in order."""
    parts = one.fields if isinstance(one, Descriptor) else one.values
    return [part.name for part in parts]


SECTIONS = sections(PAGE)
ENDS = {end.full_name for method in METHODS for end in (method.input_type, method.output_type)}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_every_call_is_documented_with_all_its_fields(method: MethodDescriptor) -> None:
    """Its full name, scope and kind; the fields of its request and response, in the protos' order."""

    section = SECTIONS[method.name]
    service: ServiceDescriptor = method.containing_service
    path = f"{service.full_name}/{method.name}"
    call = CALLS[f"/{path}"]
    kind = ("reads" if call.reads else "changes") + (", streams" if call.streams else "")
    request, response = section.split("**Response**")

    scope = f"`{call.scope}`" if call.scope is not None else "none: every authenticated caller"
    assert f"`{path}` · scope {scope} · {kind}\n" in section
    assert f"**Request** `{method.input_type.name}`: " in request
    assert rows(request) == names_in(method.input_type)
    assert f"`{method.output_type.name}`: " in response
    assert rows(response) == names_in(method.output_type)


def test_every_scope_is_documented_with_all_its_calls() -> None:
    """And whether it counts for a caller that is confined to an owner."""

    output = re.findall(r"^\| `([\w.]+)` \| .+ \| (.+) \| (yes|no) \|$", SECTIONS["Scopes"], re.MULTILINE)
    calls = {word: re.findall(r"\[(\w+)\]", listed) for word, listed, _ in output}

    assert {word: unconfined == "no" for word, _, unconfined in output} == SCOPE_WORDS
    assert {word: sorted(listed) for word, listed in calls.items()} == {
        word: sorted(path.rpartition("/")[2] for path, call in CALLS.items() if call.scope == word) for word in calls
    }


def test_every_message_and_enum_is_documented_once_with_all_its_parts() -> None:
    """All but requests and responses, documented with their calls, and the reasons, which have their own page."""

    found = {
        one.full_name.removeprefix("wallet.v1."): names_in(one)
        for one in types()
        if one.full_name not in ENDS and one.name != "ErrorReason"
    }

    assert {name: rows(SECTIONS[name]) for name in found} == found
    assert sorted(name for name in headings(PAGE) if name in found) == sorted(found)


def test_error_reasons_are_on_the_page_of_errors() -> None:
    """The reference links to it, and does not repeat it."""

    errors = rows(sections((DOCS / "errors.md").read_text())["Reasons"])

    assert "(errors.md#reasons)" in SECTIONS["Error reasons"]
    assert {f"ERROR_REASON_{name}" for name in errors} == set(ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}


def test_services_list_their_calls_in_the_order_of_the_contract() -> None:
    """As the contents do."""

    listed = {
        service.rpartition(".")[2]: list(Default().FindServiceByName(service).methods_by_name) for service in SERVICES
    }

    assert [name for name in headings(PAGE) if name in listed] == list(listed)
    for service, calls in listed.items():
        assert re.findall(r"^\| \[(\w+)\]", SECTIONS[service], re.MULTILINE) == calls
        (contents,) = re.findall(rf"^- \[{service}\]\(.*?\): (.*)$", PAGE, re.MULTILINE)
        assert re.findall(r"\[(\w+)\]", contents) == calls


def test_every_link_leads_somewhere() -> None:
    """To a heading of the page, to a file and its heading, or to a reference that is given."""

    prose = re.sub(r"`[^`]*`", "code", PAGE)

    assert len(anchors(PAGE)) == len(set(anchors(PAGE)))
    for target in re.findall(r"\]\(([^)]*)\)", prose):
        path, _, anchor = target.partition("#")
        page = DOCS / path if path else DOCS / "api.md"
        assert page.exists(), target
        assert not anchor or anchor in anchors(page.read_text()), target
    given = set(re.findall(r"^\[(\w+)\]: https://", prose, re.MULTILINE))
    assert set(re.findall(r"\[(\w+)\](?![(:])", prose)) == given


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    """A comment with a bar or an empty line would break one."""

    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, table


def test_page_is_what_the_protos_make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check fails, writes nothing, and prints the command to run where it is not."""

    stale = tmp_path / "api.md"
    stale.write_text(PAGE + "more\n")

    assert main(["--check"]) == 0, "Run `python tools/generate_api_docs.py`."
    assert main(["--check", str(stale)]) == 1
    assert "Run `python tools/generate_api_docs.py`." in capsys.readouterr().out
    assert stale.read_text() == PAGE + "more\n"
    assert main([str(stale)]) == 0
    assert stale.read_text() == PAGE
