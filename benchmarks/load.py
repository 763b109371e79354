"""A load generator, run as a process of its own: callers that call ``Transfer`` again and again.

One thread, and responses that are not read beyond their code, so that it costs as little as Python can.
"""

import argparse
import asyncio
import json
import random
from time import monotonic
from uuid import uuid4

import grpc.aio
from wallet.v1.transaction_service_pb2 import TransferRequest

METHOD = "/wallet.v1.TransactionService/Transfer"
# One channel is one connection; a few spread the work over the server's threads for reading.
_CHANNELS = 4


def main() -> None:
    """Run the load and print what was done as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--callers", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--wallets", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--hot", action="store_true")
    print(json.dumps(asyncio.run(_load(parser.parse_args()))))


async def _load(asked: argparse.Namespace) -> dict[str, object]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(asked.target, options=options) for _ in range(_CHANNELS)]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    failures: list[str] = []
    started_at = monotonic()
    ends_at = started_at + asked.seconds

    async def caller(number: int) -> int:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channels[number % _CHANNELS].unary_unary(METHOD)
        chance = random.Random(asked.seed * 1000 + number)  # noqa: S311  # load, not secrets
        count = 0
        while monotonic() < ends_at:
            try:
                await call(transfer_request(chance, asked.wallets, hot=asked.hot), timeout=30)
            except grpc.aio.AioRpcError as error:
                failures.append(str(error))
                break
            count += 1
        return count

    calls = sum(await asyncio.gather(*(caller(number) for number in range(asked.callers))))
    seconds = monotonic() - started_at
    for channel in channels:
        await channel.close()
    return {"calls": calls, "seconds": seconds, "failures": failures[:3]}


def transfer_request(chance: random.Random, wallets: int, *, hot: bool) -> bytes:
    """Return a transfer between two wallets by chance, serialized."""
    source, destination = chance.sample(range(1, wallets), 2)
    return TransferRequest(
        source=f"wallets/w{source}",
        destination="wallets/w0" if hot else f"wallets/w{destination}",
        amount={"currency_code": "USD", "minor_units": 1},  # type: ignore[arg-type]  # protobuf takes a dict
        request_id=str(uuid4()),
    ).SerializeToString()


if __name__ == "__main__":
    main()
