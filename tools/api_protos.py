"""What the protos declare, with their comments: services, calls, messages and enums."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from buf.validate import validate_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

from wallet_grpc.descriptors import CALLS, SERVICES, OwnerAccess, scope_word

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "wallet.v1."
# What calls declare with: no part of what is sent.
ACCESS = "wallet/v1/access.proto"

Comments = Mapping[tuple[int, ...], str]


@dataclass(slots=True)
class Type:
    """A message or an enum of ours, with the comments of it and of its parts."""

    name: str
    """With what it is nested in: ``Wallet.State``."""
    comment: str
    fields: Sequence[tuple[FieldDescriptorProto, str]] = ()
    values: Sequence[tuple[EnumValueDescriptorProto, str]] = ()
    choices: Sequence[tuple[str, str]] = ()
    """The names and comments of its oneofs."""
    maps: Mapping[str, DescriptorProto] = field(default_factory=dict)
    """The entries of its maps, by full name."""
    besides: Sequence[str] = ()
    """Rules about several fields."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a service."""

    service: str
    name: str
    comment: str
    request: str
    response: str

    @property
    def path(self) -> str:
        """The full name, as grpcurl takes it."""
        return f"{PACKAGE}{self.service}/{self.name}"

    @property
    def scope(self) -> str | None:
        """What a caller must be allowed; None where every authenticated caller may make it."""
        return CALLS[f"/{self.path}"].scope

    @property
    def streams(self) -> bool:
        """Whether it is answered in a stream."""
        return CALLS[f"/{self.path}"].streams

    @property
    def kind(self) -> str:
        """Whether it reads or changes, and whether it streams."""
        return ("reads" if CALLS[f"/{self.path}"].reads else "changes") + (", streams" if self.streams else "")

    @property
    def confined(self) -> str:
        """What a caller that is confined to an owner may do with it."""
        call = CALLS[f"/{self.path}"]
        if call.owner_access is OwnerAccess.FILTERED and not call.field:
            return "allowed, for its owner's wallets"
        return {
            OwnerAccess.DENIED: "denied",
            OwnerAccess.NAMED_WALLETS: f"allowed where all wallets of `{call.field}` are its owner's",
            OwnerAccess.FILTERED: f"allowed where `{call.field}` is its owner's; without it, for its owner's wallets",
            OwnerAccess.RELATED_RESOURCE: f"allowed where one of the wallets of `{call.field}` is its owner's",
            OwnerAccess.LOCKED_WALLETS: "allowed where the wallets that it debits or changes are its owner's",
            OwnerAccess.OWN_WEBHOOKS: "allowed for webhooks that are confined to its owner",
        }[call.owner_access]


@dataclass(slots=True)
class Protos:
    """All services, calls and types."""

    services: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    types: dict[str, Type] = field(default_factory=dict)
    scopes: dict[str, str] = field(default_factory=dict)
    """The comments of scopes, by their words."""

    def add(self, file: FileDescriptorProto) -> None:
        """Add what one file declares."""
        comments = {
            tuple(at.path): "\n".join(line.removeprefix(" ").rstrip() for line in at.leading_comments.splitlines())
            for at in file.source_code_info.location
        }
        if file.name == ACCESS:
            (at,) = (i for i, enum in enumerate(file.enum_type) if enum.name == "Scope")
            for i, value in enumerate(file.enum_type[at].value):
                self.scopes |= {scope_word(value.name): comments[5, at, 2, i]} if value.number else {}
            return
        for i, service in enumerate(file.service):
            self.services[service.name] = comments[6, i]
            for j, method in enumerate(service.method):
                self.calls.append(_call(service.name, method, comments[6, i, 2, j]))
        for i, message in enumerate(file.message_type):
            self._add_message(message, message.name, (4, i), comments)
        for i, enum in enumerate(file.enum_type):
            self._add_enum(enum, enum.name, (5, i), comments)

    def _add_message(self, message: DescriptorProto, name: str, path: tuple[int, ...], comments: Comments) -> None:
        rules: validate_pb2.MessageRules = message.options.Extensions[validate_pb2.message]  # type: ignore[index]  # its stub takes it for a module
        self.types[name] = Type(
            name,
            comments[path],
            fields=[(one, comments[*path, 2, i]) for i, one in enumerate(message.field)],
            choices=[(one.name, comments.get((*path, 8, i), "")) for i, one in enumerate(message.oneof_decl)],
            maps={f"{name}.{one.name}": one for one in message.nested_type if one.options.map_entry},
            besides=[rule.message for rule in rules.cel],
        )
        for i, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:
                self._add_message(nested, f"{name}.{nested.name}", (*path, 3, i), comments)
        for i, enum in enumerate(message.enum_type):
            self._add_enum(enum, f"{name}.{enum.name}", (*path, 4, i), comments)

    def _add_enum(self, enum: EnumDescriptorProto, name: str, path: tuple[int, ...], comments: Comments) -> None:
        values = [(value, comments[*path, 2, i]) for i, value in enumerate(enum.value)]
        self.types[name] = Type(name, comments[path], values=values)

    def reached_from(self, name: str, seen: dict[str, None]) -> dict[str, None]:
        """Add to *seen*, in order, the type and all that its fields lead to."""
        if name in self.types and name not in seen:
            seen[name] = None
            for one, _ in self.types[name].fields:
                self.reached_from(name_of(one.type_name), seen)
        return seen


def name_of(full_name: str) -> str:
    """Return a type's name on the page: without our package, in full where it is another's."""
    return full_name.removeprefix(".").removeprefix(PACKAGE)


def _call(service: str, method: MethodDescriptorProto, comment: str) -> Call:
    request, response = name_of(method.input_type), name_of(method.output_type)
    return Call(service, method.name, comment, request, response)


def read_protos() -> Protos:
    """Return what the protos declare, with their comments."""
    buf = shutil.which("buf", path=str(Path(sys.executable).parent)) or "buf"
    built = subprocess.run(
        [buf, "build", "protos", "--as-file-descriptor-set", "-o", "-"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    protos = Protos()
    for file in sorted(FileDescriptorSet.FromString(built.stdout).file, key=lambda file: file.name):
        if f"{file.package}." == PACKAGE:
            protos.add(file)
    order = [name.removeprefix(PACKAGE) for name in SERVICES]
    protos.calls.sort(key=lambda call: order.index(call.service))
    protos.services = {name: protos.services[name] for name in order}
    return protos
