"""A load generator, run as a process of its own: so many callers that call ``Transfer`` again and again.

Requests are built as bytes and responses are not read beyond their code, so that it costs as little as Python can.
"""

import argparse
import json
import random
import threading
from time import monotonic
from uuid import uuid4

import grpc
from wallet.v1.transaction_service_pb2 import TransferRequest

_METHOD = "/wallet.v1.TransactionService/Transfer"
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
    asked = parser.parse_args()
    channels = [
        grpc.insecure_channel(asked.target, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(_CHANNELS)
    ]
    counts = [0] * asked.callers
    failures: list[str] = []
    barrier = threading.Barrier(asked.callers + 1)
    ends_at = [0.0]

    def caller(number: int) -> None:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channels[number % _CHANNELS].unary_unary(_METHOD)
        chance = random.Random(asked.seed * 1000 + number)  # noqa: S311  # load, not secrets
        barrier.wait()
        while monotonic() < ends_at[0]:
            try:
                call(_request(chance, asked.wallets, hot=asked.hot), timeout=30)
            except grpc.RpcError as error:
                failures.append(str(error))
                return
            counts[number] += 1

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(asked.callers)]
    for thread in threads:
        thread.start()
    ends_at[0] = monotonic() + asked.seconds
    started_at = monotonic()
    barrier.wait()
    for thread in threads:
        thread.join()
    print(json.dumps({"calls": sum(counts), "seconds": monotonic() - started_at, "failures": failures[:3]}))
    for channel in channels:
        channel.close()


def _request(chance: random.Random, wallets: int, *, hot: bool) -> bytes:
    source, destination = chance.sample(range(1, wallets), 2)
    return TransferRequest(
        source=f"wallets/w{source}",
        destination="wallets/w0" if hot else f"wallets/w{destination}",
        amount={"currency_code": "USD", "minor_units": 1},  # type: ignore[arg-type]  # protobuf takes a dict
        request_id=str(uuid4()),
    ).SerializeToString()


if __name__ == "__main__":
    main()
