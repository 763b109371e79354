"""Write `docs/api.md` from the protos: their comments, their rules in words, and the scope of each call.

`--check` writes nothing: it fails where the page is not what the protos make.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from tools.api_protos import ROOT, Call, Protos, Type, name_of, read_protos
from tools.api_rules import FORMATS, UUID, code, rules_of
from wallet_grpc.descriptors import SCOPE_WORDS

PAGE = ROOT / "docs" / "api.md"
# Documented on the page of errors, reason by reason.
ELSEWHERE = "ErrorReason"

SCALARS = {value: name.removeprefix("TYPE_").lower() for name, value in FieldDescriptorProto.Type.items()}
WELL_KNOWN = {
    "google.protobuf.Timestamp": "[Timestamp]",
    "google.protobuf.Duration": "[Duration]",
    "google.protobuf.FieldMask": "[FieldMask]",
    "google.rpc.Status": "[google.rpc.Status](errors.md)",
}

INTRODUCTION = """\
<!-- Generated from the protos by tools/generate_api_docs.py: change the comments there. -->

# API reference

Every call of `wallet.v1`, generated from the protos in `protos/wallet/v1`. Rules for all calls (request ids, pages,
filters, etags) are in [API conventions](api-conventions.md); errors in [Errors](errors.md); credentials and scopes in
[Authenticate callers](how-to/authenticate.md). [The first ten minutes](tutorial.md) shows the main calls with their
results. The service config for channels, `protos/wallet/v1/wallet_grpc_service_config.json`, defines retries and how
channels use [several servers](how-to/run-several-servers.md).

## How to read it

Each call has its full name, the [scope](#scopes) that it requires, whether it changes something or only reads, and
its effect for a caller that is confined to an owner. A field that is not marked **required** is optional. Caller and
scope are checked first, then the rules of the fields: a violation is `INVALID_FIELDS`.

In JSON, as grpcurl reads and prints it, field names may be as here or in `lowerCamelCase`, 64-bit integers are
strings, times are RFC 3339, enum values are their names, bytes are base64, and zero or empty values are not printed.
"""

SCOPES = """\
## Scopes

The rights that a caller may have, and what money it can move with each. Each call declares its scope by the option in
`protos/wallet/v1/access.proto`. A caller that is confined to an owner debits and changes only that owner's wallets,
even where this table names any wallet, and only scopes marked for owners count for it.
"""

LINKS = """\
[Timestamp]: https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp
[Duration]: https://protobuf.dev/reference/protobuf/google.protobuf/#duration
[FieldMask]: https://protobuf.dev/reference/protobuf/google.protobuf/#field-mask
"""


def anchor(heading: str) -> str:
    """Return what a heading is linked by."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def cell(text: str) -> str:
    """Put a comment into one cell of a table."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return "<br><br>".join(paragraphs).replace("|", "\\|")


def link(heading: str) -> str:
    """Link to a heading of the page."""
    return f"[{heading}](#{anchor(heading)})"


def lower(comment: str) -> str:
    """Let a comment go on where a sentence has begun."""
    return comment[0].lower() + comment[1:]


def first_sentence(comment: str) -> str:
    """Return what a comment begins with."""
    return re.split(r"(?<=[.!?])(?<!e\.g\.)\s+(?=[A-Z`])", comment, maxsplit=1)[0]


def table(*rows: Iterable[str]) -> str:
    """Draw a table; the first row is its head."""
    head, *body = ["| " + " | ".join(cell(one) for one in row) + " |" for row in rows]
    return "\n".join([head, "|---" * (head.replace("\\|", "").count("|") - 1) + "|", *body]) + "\n"


def _scope(call: Call) -> str:
    return f"`{call.scope}`" if call.scope is not None else "none: every authenticated caller"


class Writer:
    """Writes the page."""

    def __init__(self, protos: Protos) -> None:
        self._protos = protos
        users: dict[str, list[str]] = {}
        for call in protos.calls:
            for name in protos.reached_from(call.response, protos.reached_from(call.request, {})):
                users.setdefault(name, []).append(call.name)
        for call in protos.calls:
            del users[call.request], users[call.response]
        self._shared = [name for name, calls in users.items() if len(calls) > 1]
        self._own = {call.name: [name for name, by in users.items() if by == [call.name]] for call in protos.calls}
        headings = [*protos.services, *(call.name for call in protos.calls), *users]
        if len({anchor(heading) for heading in headings}) < len(headings):
            sys.exit("Two headings of the page would have one anchor.")
        # What comments name, and where it stands. An enum that is nested has values that others have too.
        self._stands_at = {heading: heading for heading in headings}
        self._stands_at |= {v.name: name for name in users if "." not in name for v, _ in protos.types[name].values}
        # What every service says is said once.
        said = [comment.split("\n\n") for comment in protos.services.values()]
        self._common = [one for one in said[0] if all(one in other for other in said)]

    def page(self) -> str:
        """Return the whole page."""
        parts = [
            INTRODUCTION,
            *(f"{self._words(one)}\n" for one in self._common),
            self._contents(),
            self._scopes(),
            *(self._service(name) for name in self._protos.services),
            "## Messages and enums\n\nThose that more than one call uses.\n",
            *(self._type(name, "###") for name in self._shared),
            self._error_reasons(),
            self._formats(),
            LINKS,
        ]
        return "\n".join(parts)

    def _contents(self) -> str:
        lines = ["## Contents", "", f"- {link('Scopes')}"]
        for service in self._protos.services:
            calls = [link(call.name) for call in self._protos.calls if call.service == service]
            lines.append(f"- {link(service)}: {', '.join(calls)}")
        lines.append(f"- {link('Messages and enums')}: {', '.join(map(link, self._shared))}")
        lines.append(f"- {link('Error reasons')}\n- {link('Formats')}\n")
        return "\n".join(lines)

    def _scopes(self) -> str:
        """Draw the table of scopes: what each allows, and by which calls."""
        rows = []
        for word, comment in self._protos.scopes.items():
            calls = ", ".join(link(call.name) for call in self._protos.calls if call.scope == word)
            confined = "no" if SCOPE_WORDS[word] else "yes"
            rows.append((f"`{word}`", self._words(comment), calls or "with other scopes", confined))
        return f"{SCOPES}\n{table(('scope', 'what it allows', 'calls', 'effective for an owner'), *rows)}"

    def _service(self, name: str) -> str:
        said = [one for one in self._protos.services[name].split("\n\n") if one not in self._common]
        calls = [call for call in self._protos.calls if call.service == name]
        rows = [(link(call.name), self._words(first_sentence(call.comment)), _scope(call), call.kind) for call in calls]
        overview = table(("call", "what it does", "scope", "reads or changes"), *rows)
        return "\n".join([f"## {name}\n", self._words("\n\n".join(said)) + "\n", overview, *map(self._call, calls)])

    def _call(self, call: Call) -> str:
        request, response = self._protos.types[call.request], self._protos.types[call.response]
        comment = re.sub(r"^Errors\b", "[Errors](errors.md#reasons)", call.comment, flags=re.MULTILINE)
        parts = [
            f"### {call.name}\n",
            f"`{call.path}` · scope {_scope(call)} · {call.kind}\n",
            f"Confined to an owner: {call.confined}.\n",
            self._words(comment, within=call.name) + "\n",
            f"**Request** `{request.name}`: {lower(self._words(request.comment))}\n",
            self._parts(request),
            f"**Response** {'a stream of ' * call.streams}`{response.name}`: {lower(self._words(response.comment))}\n",
            self._parts(response),
            *(self._type(name, "####") for name in self._own[call.name]),
        ]
        return "\n".join(parts)

    def _type(self, name: str, level: str) -> str:
        one = self._protos.types[name]
        return "\n".join([f"{level} {name}\n", self._words(one.comment, within=name) + "\n", self._parts(one)])

    def _parts(self, one: Type) -> str:
        """Draw the table of an enum's values, or of a message's fields, with the rules about several fields below."""
        if one.values:
            values = [(f"`{value.name}`", str(value.number), self._words(comment)) for value, comment in one.values]
            return table(("value", "number", "meaning"), *values)
        rows: list[tuple[str, ...]] = []
        introduced: set[int] = set()
        for part, comment in one.fields:
            chosen = part.HasField("oneof_index") and not part.proto3_optional
            if chosen and part.oneof_index not in introduced:
                introduced.add(part.oneof_index)
                choice, what = one.choices[part.oneof_index]
                rows.append((f"one of `{choice}`:", "", self._words(what), ""))
            name = f"· `{part.name}`" if chosen else f"`{part.name}`"
            rows.append((name, self._type_of(part, one.maps), self._words(comment), rules_of(part)))
        if not rows:
            return "It has no fields.\n"
        ruled = any(row[3] for row in rows)
        drawn = table(*(row if ruled else row[:3] for row in [("field", "type", "meaning", "rules"), *rows]))
        besides = [code(rule) for rule in one.besides]
        if len(besides) > 1:
            return drawn + "\nBesides:\n\n" + "".join(f"- {rule}\n" for rule in besides)
        return drawn + "".join(f"\nBesides: {rule}.\n" for rule in besides)

    def _type_of(self, part: FieldDescriptorProto, maps: Mapping[str, DescriptorProto]) -> str:
        name = name_of(part.type_name)
        if name in maps:
            key, value = (self._type_of(one, {}) for one in maps[name].field)
            return f"map of {key} to {value}"
        shown = WELL_KNOWN.get(name) or (link(name) if name else SCALARS[part.type])
        return f"list of {shown}" if part.label == FieldDescriptorProto.LABEL_REPEATED else shown

    def _error_reasons(self) -> str:
        comment = self._words(self._protos.types[ELSEWHERE].comment.split("\n\n", maxsplit=1)[0])
        return (
            f"## Error reasons\n\n`{ELSEWHERE}`: {lower(comment)}\n\n"
            "[Errors](errors.md#reasons) lists them, with code, metadata, and what to do about each.\n"
        )

    @staticmethod
    def _formats() -> str:
        rows = [*((words, f"`{pattern}`") for pattern, words in FORMATS.items()), ("a UUID in lower case", f"`{UUID}`")]
        return f"## Formats\n\nThe patterns behind the words of the rules.\n\n{table(('in words', 'pattern'), *rows)}"

    def _words(self, comment: str, *, within: str = "") -> str:
        """Link what a comment names: in backticks any call, type or value, in plain text only what is no other word."""

        def linked(match: re.Match[str]) -> str:
            heading = self._stands_at.get(match[0].strip("`"), within)
            return match[0] if heading == within else f"[{match[0]}](#{anchor(heading)})"

        return re.sub(r"`[^`]*`|\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b", linked, comment)


def main(arguments: list[str]) -> int:
    """Write the page, or check that it is what the protos make; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", type=Path, default=PAGE)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where the page is not fresh")
    given = parser.parse_args(arguments)
    made = Writer(read_protos()).page()
    if not given.check:
        given.page.write_text(made)
    elif not given.page.exists() or given.page.read_text() != made:
        print(f"{given.page} is not what the protos make. Run `python {Path(__file__).relative_to(ROOT)}`.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
