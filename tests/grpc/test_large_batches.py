"""How large a batch may be: a thousand transfers of a thousand bytes; more is not sent, and never half done."""

import asyncio
import re
from dataclasses import replace

import psycopg
import pytest
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.callers import balance, count, open_funded, usd
from tests.support.wire import Wire
from wallet_client import (
    AsyncWalletClient,
    CallFailed,
    OutcomeUnknown,
    RequestTooLarge,
    TransferItem,
    WalletClient,
    new_request_id,
)
from wallet_client.aio.calls import REQUEST_MAX_BYTES
from wallet_core.settings import Settings
from wallet_core.settings.server import GrpcSettings
from wallet_core.usecases.app import App
from wallet_grpc.server.serving import serving

MIB = 1 << 20
WIDEST = "\N{PILE OF POO}"
"""A character of four bytes, as many as one may have."""

LONGEST = TransferItem(
    source=f"wallets/{'a' * 63}",
    destination=f"wallets/{'b' * 63}",
    amount=usd(10**15),
    max_commission=usd(10**15),
    description=WIDEST * 256,
    external_reference=WIDEST * 128,
    labels={f"{number:x>63}".replace("0", "y"): WIDEST * 63 for number in range(32)},
)
"""A transfer that has all that one may have."""


def bytes_of(*items: TransferItem) -> int:
    """Return how large a batch of them is."""
    return pb.BatchTransferRequest(
        mode=pb.BATCH_MODE_ITEM, items=[item.message(with_id=True) for item in items]
    ).ByteSize()


def batch_of(count_: int, description: str = "", external_reference: str = "") -> list[TransferItem]:
    """Return this many small transfers there and back."""
    there = TransferItem(
        source="wallets/alice",
        destination="wallets/bob",
        amount=usd(1),
        description=description,
        external_reference=external_reference,
    )
    back = replace(there, source=there.destination, destination=there.source)
    return [replace((there, back)[number % 2], request_id=new_request_id()) for number in range(count_)]


def test_what_is_larger_than_the_service_takes_is_not_sent() -> None:
    """By either client, where no server is; the longest transfers are twelve times what there is room for."""

    nowhere = "127.0.0.1:1"
    full = [LONGEST] * 1000
    id_ = new_request_id()

    async def awaited() -> None:
        async with AsyncWalletClient(nowhere) as client:
            with pytest.raises(RequestTooLarge):
                await client.batch_transfer(full)

    with WalletClient(nowhere) as client, pytest.raises(RequestTooLarge, match=r"Nothing was sent") as refused:
        client.batch_transfer(full, request_id=id_)
    asyncio.run(awaited())

    assert (refused.value.code, refused.value.outcome) == ("RESOURCE_EXHAUSTED", "NOT_DONE_RETRY")
    assert (isinstance(refused.value, CallFailed), refused.value.request_id) == (True, id_)
    assert 11 * MIB < bytes_of(*full) < 13 * MIB
    assert re.search(r"has 12\d{6} bytes, and the service accepts 1048576", refused.value.message)


def test_clients_know_what_a_service_takes_that_is_not_set_otherwise() -> None:
    """The client has no settings of the service's."""

    assert GrpcSettings.model_fields["message_max_bytes"].default == REQUEST_MAX_BYTES == MIB


def test_a_thousand_transfers_of_a_thousand_bytes_are_made(
    app: App, settings: Settings, owner: psycopg.Connection
) -> None:
    """All of a request that is as large as one may be; of one that is larger, which gRPC refuses, nothing is done."""

    fits = batch_of(1000, description=WIDEST * 200, external_reference="r" * 128)
    with serving(app, settings) as port, WalletClient(f"127.0.0.1:{port}") as client:
        open_funded(client, alice=1, bob=0)
        before = count(owner, "transactions")
        made = client.batch_transfer(fits, atomic=False)
        assert len([one for one in made.results if one.HasField("transaction")]) == 1000
        with Wire(f"127.0.0.1:{port}") as wire:
            over = pb.BatchTransferRequest(
                mode=pb.BATCH_MODE_ITEM,
                items=[item.message(with_id=True) for item in batch_of(1000, description=WIDEST * 256)],
            )
            refused = wire.call("TransactionService/BatchTransfer", over)
        assert count(owner, "transactions") == before + 1000

    assert 0.95 * MIB < bytes_of(*fits) <= MIB < over.ByteSize()
    assert (refused.code, refused.infos) == ("RESOURCE_EXHAUSTED", ())


def test_an_answer_of_any_size_is_taken(app: App, settings: Settings) -> None:
    """A larger batch's answer would exceed the 4 MiB that gRPC receives by default: it would look undone."""

    larger = {"grpc_message_max_bytes": 16 * MIB}
    long = [
        replace(item, labels=LONGEST.labels, description=LONGEST.description, external_reference=WIDEST * 128)
        for item in batch_of(360)
    ]
    with (
        serving(app, settings.replaced(**larger)) as port,
        WalletClient(f"127.0.0.1:{port}", request_max_bytes=16 * MIB, timeout_s=30) as client,
    ):
        open_funded(client, alice=1, bob=0)
        made = client.batch_transfer(long, atomic=True)
        assert made.ByteSize() > 4 * MIB
        assert [balance(client, name) for name in ("alice", "bob")] == [1, 0]


def test_a_batch_that_grew_after_it_was_sent_leaves_the_outcome_unknown(server: str, owner: psycopg.Connection) -> None:
    """What was not sent now may have been done before, under the same id."""

    id_ = new_request_id()
    with WalletClient(server) as client:
        open_funded(client, alice=1, bob=0)
    with WalletClient(server, timeout_s=0.3) as hasty:
        with owner.transaction():
            owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
            with pytest.raises(OutcomeUnknown):
                hasty.batch_transfer(batch_of(1), request_id=id_)
        with pytest.raises(OutcomeUnknown, match="An earlier attempt may have been done") as unknown:
            hasty.batch_transfer([LONGEST] * 100, request_id=id_)
    assert unknown.value.request_id == id_
