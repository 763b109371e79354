"""A caller that does not read on."""

from collections.abc import Sequence

import grpc

from tests.support.api import Api


class Idle(Api):
    """A channel that takes little beyond what is read, so that the server has to wait for its caller."""

    def __init__(self, target: str, *, metadata: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(target, metadata=metadata)
        self._channel.close()
        options = {"enable_retries": 0, "use_local_subchannel_pool": 1, "http2.bdp_probe": 0}
        options |= {"http2.lookahead_bytes": 65536}
        self._channel = grpc.insecure_channel(
            target, options=[(f"grpc.{name}", value) for name, value in options.items()]
        )
