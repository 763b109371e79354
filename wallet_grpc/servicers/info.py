"""InfoService."""

import grpc
from wallet.v1 import info_service_pb2 as pb
from wallet.v1.info_service_pb2_grpc import InfoServiceServicer

from wallet_grpc.servicers.serving import Serving


class InfoServicer(InfoServiceServicer):
    """What a caller must know of the service."""

    def __init__(self, serving: Serving, info: pb.ServiceInfo) -> None:
        self._app = serving.app
        self._info = info

    def GetServiceInfo(
        self, request: pb.GetServiceInfoRequest, context: grpc.ServicerContext
    ) -> pb.GetServiceInfoResponse:
        """Return version, modes and limits, and the currencies that new wallets may have."""
        del request, context
        response = pb.GetServiceInfoResponse(service_info=self._info)
        response.service_info.schema_version = self._app.schema_version
        response.service_info.open_currency_codes.extend(self._app.currencies.open())
        return response
