"""Results of a batch, item by item."""

from typing import Any

from google.rpc import error_details_pb2
from wallet.v1 import transaction_service_pb2 as pb


def info_of(result: Any) -> Any:  # noqa: ANN401  # google.rpc has no types
    """Return the only ErrorInfo of an item's error."""
    infos = [detail for detail in result.error.details if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    (packed,) = infos
    info = error_details_pb2.ErrorInfo()
    packed.Unpack(info)
    return info


def outcomes(response: pb.BatchTransferResponse) -> list[str]:
    """Return what became of each item: the reason of its refusal, or whether it was made or replayed."""
    return [
        info_of(result).reason
        if result.WhichOneof("outcome") == "error"
        else ("REPLAYED" if result.replayed else "MADE")
        for result in response.results
    ]
