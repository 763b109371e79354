"""Write the imported .proto files into third_party/ from installed packages: no network, no registry of protos.

googleapis files are copied from googleapis-common-protos; `buf/validate/validate.proto` is printed from the descriptor
that the protovalidate package carries.  Run by `make protos`; `buf format` follows.
"""

import importlib.util
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    message_factory,
    text_encoding,
    text_format,
    timestamp_pb2,
)
from google.protobuf.message import Message
from protovalidate._gen.buf.validate import validate_pb

# error_details: so that those who read the protos can read what an error carries.
GOOGLE = ["google/api/field_behavior.proto", "google/rpc/error_details.proto", "google/rpc/status.proto"]
OPTIONS = ["FileOptions", "MessageOptions", "FieldOptions", "OneofOptions", "EnumOptions", "EnumValueOptions"]
Field = descriptor_pb2.FieldDescriptorProto
SCALARS = {value: name.removeprefix("TYPE_").lower() for name, value in Field.Type.items()}
LABELS = {Field.LABEL_OPTIONAL: "optional ", Field.LABEL_REPEATED: "repeated ", Field.LABEL_REQUIRED: "required "}
LARGEST_TAG = 536870911


def copy_google(out: Path) -> None:
    """Copy the googleapis files that our protos import."""
    spec = importlib.util.find_spec("google.rpc")
    if spec is None or spec.submodule_search_locations is None:
        sys.exit("googleapis-common-protos is not installed: run `make` to install it")
    root = Path(next(iter(spec.submodule_search_locations))).parent.parent
    for name in GOOGLE:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, out / name)


class Printer:
    """Prints a file descriptor as proto source, custom options included."""

    def __init__(self, raw: bytes) -> None:
        self._file = descriptor_pb2.FileDescriptorProto.FromString(raw)
        pool = descriptor_pool.DescriptorPool()
        for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        pool.AddSerializedFile(raw)
        self._option_types: dict[str, type[Message]] = {
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"google.protobuf.{name}"))
            for name in OPTIONS
        }
        for name in ("message", "oneof", "field", "predefined"):
            pool.FindExtensionByName(f"buf.validate.{name}")

    def file(self) -> str:
        """Return the whole file."""
        described = self._file
        text = (
            f'// Printed from the protovalidate package. Do not edit.\nsyntax = "{described.syntax or "proto2"}";\n\n'
        )
        text += f"package {described.package};\n\n"
        text += "".join(f'import "{name}";\n' for name in described.dependency) + "\n"
        text += "".join(f"option {o};\n" for o in self._options("FileOptions", described.options)) + "\n"
        extended: dict[str, list[descriptor_pb2.FieldDescriptorProto]] = {}
        for extension in described.extension:
            extended.setdefault(extension.extendee, []).append(extension)
        for extendee, fields in extended.items():
            text += f"extend {extendee} {{\n" + "".join(self._field(f, "  ") for f in fields) + "}\n"
        text += "".join(self._enum(e, "") for e in described.enum_type)
        return text + "".join(self._message(m, "") for m in described.message_type)

    def _options(self, kind: str, options: Message) -> list[str]:
        lines: list[str] = []
        for field, value in self._option_types[kind].FromString(options.SerializeToString()).ListFields():
            if field.name == "uninterpreted_option":
                continue
            name = f"({field.full_name})" if field.is_extension else field.name
            for one in value if field.is_repeated else [value]:
                if field.type == Field.TYPE_MESSAGE:
                    shown = "{" + text_format.MessageToString(one, as_one_line=True) + "}"
                elif field.type == Field.TYPE_ENUM and field.enum_type is not None:
                    shown = field.enum_type.values_by_number[one].name
                elif field.type == Field.TYPE_BOOL:
                    shown = "true" if one else "false"
                elif field.type == Field.TYPE_STRING:
                    shown = '"' + text_encoding.CEscape(one, as_utf8=False) + '"'
                else:
                    shown = str(one)
                lines.append(f"{name} = {shown}")
        return lines

    def _field(self, field: descriptor_pb2.FieldDescriptorProto, indent: str, *, in_oneof: bool = False) -> str:
        kind = field.type_name or SCALARS[field.type]
        label = "" if in_oneof else LABELS[field.label]
        default = [f"default = {field.default_value}"] if field.HasField("default_value") else []
        options = _bracketed([*default, *self._options("FieldOptions", field.options)])
        return f"{indent}{label}{kind} {field.name} = {field.number}{options};\n"

    def _enum(self, enum: descriptor_pb2.EnumDescriptorProto, indent: str) -> str:
        text = f"{indent}enum {enum.name} {{\n"
        text += "".join(f"{indent}  option {o};\n" for o in self._options("EnumOptions", enum.options))
        text += "".join(f"{indent}  reserved {r.start} to {r.end};\n" for r in enum.reserved_range)
        text += "".join(f'{indent}  reserved "{name}";\n' for name in enum.reserved_name)
        for value in enum.value:
            options = _bracketed(self._options("EnumValueOptions", value.options))
            text += f"{indent}  {value.name} = {value.number}{options};\n"
        return text + f"{indent}}}\n"

    def _message(self, message: descriptor_pb2.DescriptorProto, indent: str) -> str:
        inner = indent + "  "
        text = f"{indent}message {message.name} {{\n"
        text += "".join(f"{inner}option {o};\n" for o in self._options("MessageOptions", message.options))
        text += "".join(f"{inner}reserved {r.start} to {r.end - 1};\n" for r in message.reserved_range)
        text += "".join(f'{inner}reserved "{name}";\n' for name in message.reserved_name)
        for extended in message.extension_range:
            end = "max" if extended.end > LARGEST_TAG else extended.end - 1
            text += f"{inner}extensions {extended.start} to {end};\n"
        text += "".join(self._enum(e, inner) for e in message.enum_type)
        text += "".join(self._message(m, inner) for m in message.nested_type if not m.options.map_entry)
        printed: set[int] = set()
        for field in message.field:
            if not field.HasField("oneof_index"):
                text += self._field(field, inner)
            elif field.oneof_index not in printed:
                printed.add(field.oneof_index)
                text += self._oneof(message, field.oneof_index, inner)
        return text + f"{indent}}}\n"

    def _oneof(self, message: descriptor_pb2.DescriptorProto, index: int, indent: str) -> str:
        oneof = message.oneof_decl[index]
        members = [f for f in message.field if f.HasField("oneof_index") and f.oneof_index == index]
        text = f"{indent}oneof {oneof.name} {{\n"
        text += "".join(f"{indent}  option {o};\n" for o in self._options("OneofOptions", oneof.options))
        text += "".join(self._field(f, indent + "  ", in_oneof=True) for f in members)
        return text + f"{indent}}}\n"


def _bracketed(options: Iterable[str]) -> str:
    joined = ", ".join(options)
    return f" [{joined}]" if joined else ""


def main() -> None:
    """Write everything below the folder named on the command line."""
    out = Path(sys.argv[1])
    copy_google(out)
    target = out / "buf/validate/validate.proto"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(Printer(validate_pb.desc().proto.to_binary()).file())


if __name__ == "__main__":
    main()
