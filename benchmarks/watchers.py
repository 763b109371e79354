"""Watchers, run as a process of their own until it is ended: they read events and discard them."""

import argparse
import asyncio

import grpc.aio
from wallet.v1.event_service_pb2 import WatchEventsRequest

METHOD = "/wallet.v1.EventService/WatchEvents"


def main() -> None:
    """Watch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--from-start", action="store_true")
    asyncio.run(_watch(parser.parse_args()))


async def _watch(asked: argparse.Namespace) -> None:
    request = WatchEventsRequest(from_start=asked.from_start).SerializeToString()
    async with grpc.aio.insecure_channel(asked.target) as channel:
        watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(METHOD)

        async def watcher() -> None:
            async for _ in watch(request):
                pass

        await asyncio.gather(*(watcher() for _ in range(asked.count)))


if __name__ == "__main__":
    main()
