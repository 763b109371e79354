"""A crowd of callers, run as a process of its own: each transfers again and again, and waits as the server requires.

Unlike `load`, its channels take the retry policy that ships with the protos, as callers do in production.
"""

import argparse
import asyncio
import json
import random
from collections import Counter
from importlib import resources
from time import monotonic

import grpc.aio

from benchmarks.load import METHOD, transfer_request

# Time to get going before anything is counted.
_WARM = 1 / 3


def main() -> None:
    """Run the crowd and print the count of each result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--callers", type=int, required=True)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--wallets", type=int, required=True)
    print(json.dumps(asyncio.run(_crowd(parser.parse_args()))))


async def _crowd(asked: argparse.Namespace) -> dict[str, object]:
    policy = resources.files("wallet.v1").joinpath("wallet_grpc_service_config.json").read_text()
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.service_config", policy)]
    channels = [grpc.aio.insecure_channel(asked.target, options=options) for _ in range(asked.channels)]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    results: Counter[str] = Counter()
    began_at = monotonic()
    counts_from, ends_at = began_at + asked.seconds * _WARM, began_at + asked.seconds
    done = 0

    async def caller(number: int) -> None:
        nonlocal done
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channels[number % asked.channels].unary_unary(METHOD)
        chance = random.Random(number)  # noqa: S311  # load, not secrets
        while monotonic() < ends_at:
            try:
                await call(transfer_request(chance, asked.wallets, hot=False))
            except grpc.aio.AioRpcError as error:
                results[error.code().name] += 1
            else:
                results["OK"] += 1
                done += counts_from < monotonic() < ends_at

    await asyncio.gather(*(caller(number) for number in range(asked.callers)))
    for channel in channels:
        await channel.close()
    return {"rate": done / (ends_at - counts_from), "results": results}


if __name__ == "__main__":
    main()
