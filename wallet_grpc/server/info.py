"""What ``GetServiceInfo`` returns of the settings: modes and limits, no secrets and no addresses."""

from importlib.metadata import version

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.duration_pb2 import Duration
from wallet.v1 import info_service_pb2 as pb
from wallet.v1.transaction_service_pb2 import BatchTransferRequest
from wallet.v1.wallet_service_pb2 import BatchGetWalletsRequest

from wallet_core.settings import Settings
from wallet_grpc.convert.page_tokens import PAGE_DEFAULT, PAGE_MAX
from wallet_grpc.servicers.streams import StreamLimits


def service_info(settings: Settings, *, exports: StreamLimits, watches: StreamLimits) -> pb.ServiceInfo:
    """Return what is known at the start of a server."""
    access, calls = settings.access, settings.calls
    return pb.ServiceInfo(
        version=version("wallet-grpc"),
        mode=pb.ServiceInfo.Mode.Value(f"MODE_{settings.process.mode.upper()}"),
        security=pb.Security(
            tls=settings.tls.certificate is not None,
            tokens=settings.auth.keys is not None or settings.auth.dev_secret is not None,
            client_certificates=settings.tls.client_ca is not None,
        ),
        bank_statement=settings.bank.provides_statement,
        limits=pb.Limits(
            request_max_bytes=settings.grpc.message_max_bytes,
            page_size_default=PAGE_DEFAULT,
            page_size_max=PAGE_MAX,
            page_max_bytes=calls.page_max_bytes,
            batch_transfers_max=_max_items(BatchTransferRequest.DESCRIPTOR, "items"),
            batch_wallets_max=_max_items(BatchGetWalletsRequest.DESCRIPTOR, "names"),
            amount_max_minor_units=settings.ledger.amount_max,
            deadline_min=_duration(calls.deadline_min_s),
            deadline_max=_duration(calls.deadline_max_s),
            connection_calls_max=settings.grpc.connection_streams_max,
            watches_max=watches.most,
            caller_watches_max=watches.each,
            exports_max=exports.most,
            caller_exports_max=exports.each,
            export_max=_duration(exports.longest_s),
            caller_calls_per_second=access.caller_calls_per_s or 0,
            owner_calls_per_second=access.owner_calls_per_s or 0,
        ),
    )


def _max_items(message: Descriptor, field: str) -> int:
    """Return how many items the field's own rule allows."""
    rules = message.fields_by_name[field].GetOptions().Extensions[validate_pb2.field]
    return int(rules.repeated.max_items)


def _duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=round(seconds % 1 * 1_000_000) * 1000)
