"""The calls of InfoService."""

from __future__ import annotations

from functools import cached_property

from wallet.v1 import info_service_pb2 as pb
from wallet.v1 import info_service_pb2_grpc as grpc_pb

from wallet_client.aio.calls import Calls


class InfoCalls(Calls):
    """What a caller must know of the service."""

    @cached_property
    def _info(self) -> grpc_pb.InfoServiceAsyncStub:
        return grpc_pb.InfoServiceStub(self._channel)

    async def get_service_info(self) -> pb.ServiceInfo:
        """Return the version, the modes and the limits of the server that answers.

        Raises:
            CallFailed: the call failed, e.g. ``CREDENTIALS_INVALID``.

        Example:
            >>> (await client.get_service_info()).limits.request_max_bytes
        """
        response = await self._read(self._info.GetServiceInfo, pb.GetServiceInfoRequest())
        return response.service_info
