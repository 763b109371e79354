"""A call's access is declared in the protos; one that declares none starts no server."""

from typing import Any, cast
from uuid import uuid4

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MethodOptions
from wallet.v1 import access_pb2

from wallet_core.domain.model.errors import PermissionMissing
from wallet_grpc.descriptors import OwnerAccess, Undeclared, declared
from wallet_grpc.errors.kinds import CredentialsInvalid
from wallet_grpc.interceptors.authentication import Authentication
from wallet_grpc.security.access import Scope

READ, WRITE = access_pb2.SCOPE_WALLET_READ, access_pb2.SCOPE_WALLET_WRITE
NAMED_WALLETS, FILTERED, RELATED_RESOURCE = (
    access_pb2.OWNER_ACCESS_NAMED_WALLETS,
    access_pb2.OWNER_ACCESS_FILTERED,
    access_pb2.OWNER_ACCESS_RELATED_RESOURCE,
)
LOCKED_WALLETS, DENIED = access_pb2.OWNER_ACCESS_LOCKED_WALLETS, access_pb2.OWNER_ACCESS_DENIED


def a_call(*, reads: bool = True, **access: Any) -> MethodDescriptor:  # noqa: ANN401  # any of the option's fields
    """Return a call with this declaration; its request has a text ``name`` and a number ``size``."""
    kinds = {"name": FieldDescriptorProto.TYPE_STRING, "size": FieldDescriptorProto.TYPE_INT32}
    file = descriptor_pb2.FileDescriptorProto(name=f"{uuid4()}.proto", package="wallet.v9")
    request = file.message_type.add(name="LookRequest")
    for number, (name, kind) in enumerate(kinds.items(), 1):
        request.field.add(name=name, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)
    method = file.service.add(name="NewService").method.add(name="Look")
    method.input_type = method.output_type = ".wallet.v9.LookRequest"
    if reads:
        method.options.idempotency_level = MethodOptions.NO_SIDE_EFFECTS
    if access:
        method.options.Extensions[access_pb2.access].CopyFrom(access_pb2.Access(**access))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName("wallet.v9.NewService").methods_by_name["Look"]


@pytest.mark.parametrize(
    ("call", "because"),
    [
        (a_call(), "neither scope nor any_authenticated_caller; it has no owner_access"),
        (a_call(owner_access=NAMED_WALLETS, field="name"), "neither scope nor any_authenticated_caller"),
        (a_call(scope=READ), "no owner_access"),
        (a_call(scope=READ, owner_access=LOCKED_WALLETS), "a read locks nothing"),
        (
            a_call(scope=WRITE, owner_access=NAMED_WALLETS, field="name", reads=False),
            "a change is checked on locked rows",
        ),
        (a_call(scope=READ, owner_access=NAMED_WALLETS), "its owner_access needs a field"),
        (a_call(scope=READ, owner_access=RELATED_RESOURCE), "its owner_access needs a field"),
        (a_call(scope=READ, owner_access=DENIED, field="name"), "its owner_access takes no field"),
        (a_call(scope=READ, owner_access=NAMED_WALLETS, field="wallet"), "its request has no string field wallet"),
        (a_call(scope=READ, owner_access=NAMED_WALLETS, field="size"), "its request has no string field size"),
    ],
)
def test_a_call_without_declared_access_is_not_served(call: MethodDescriptor, because: str) -> None:
    """The table of all calls is made where the server's modules are loaded, and the call is named."""

    with pytest.raises(Undeclared) as refused:
        declared(call)

    assert str(refused.value).startswith("wallet.v9.NewService.Look needs `option (access)`")
    assert because in str(refused.value)


@pytest.mark.parametrize("owner_access", [NAMED_WALLETS, FILTERED, RELATED_RESOURCE])
def test_a_reads_log_has_its_resource(owner_access: "access_pb2.OwnerAccess.ValueType") -> None:
    """And what a request names there is found."""

    call = declared(a_call(scope=READ, owner_access=owner_access, field="name"))

    assert (call.path, call.scope, call.reads) == ("/wallet.v9.NewService/Look", "wallet.read", True)
    assert call.owner_access == OwnerAccess(access_pb2.OwnerAccess.Name(owner_access).removeprefix("OWNER_ACCESS_"))
    request = descriptor_pb2.FileDescriptorProto
    assert [call.named(request(name=name)) for name in ("a", "")] == [("a",), ()]


def test_a_call_for_every_known_caller_takes_no_scope_but_credentials() -> None:
    """Declared as public, it is permitted with any scopes; one that is not declared is permitted to no caller."""

    call = declared(a_call(any_authenticated_caller=True, owner_access=FILTERED))
    assert call.scope is None

    context = cast(grpc.ServicerContext, Context())
    public = Authentication(scopes={call.path: None, "/b": Scope.WALLET_READ})
    with public.permitted(call.path, context):
        pass
    with pytest.raises(PermissionMissing, match="none"), public.permitted("/c", context):
        pass
    strict = Authentication(certificates={}, scopes={call.path: None})
    with pytest.raises(CredentialsInvalid), strict.permitted(call.path, context):
        pass


class Context:
    """What is known of a call that comes with nothing."""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return none."""
        return ()

    def auth_context(self) -> dict[str, list[bytes]]:
        """Return none."""
        return {}
