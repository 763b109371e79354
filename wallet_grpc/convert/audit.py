"""Checkpoints and the proof of the ledger ↔ messages."""

from wallet.v1 import audit_service_pb2 as pb

from wallet_core.domain.model.checkpoint import Checkpoint, checkpoint_name
from wallet_core.gateways.checkpoint_keys import public_pem
from wallet_core.usecases.verify_ledger import Progress


def checkpoint_number(name: str) -> int:
    """Return the number in ``checkpoints/{number}``; 0 for an empty name."""
    return int(name.rpartition("/")[2] or 0)


def checkpoint_of(message: pb.Checkpoint) -> Checkpoint:
    """Return a checkpoint that a caller has kept."""
    return Checkpoint(message.number, message.statement, message.key_id, message.signature)


def checkpoint_message(checkpoint: Checkpoint) -> pb.Checkpoint:
    """Return a checkpoint's message."""
    return pb.Checkpoint(
        name=checkpoint_name(checkpoint.number),
        number=checkpoint.number,
        statement=checkpoint.statement,
        key_id=checkpoint.key_id,
        signature=checkpoint.signature,
    )


def key_message(key_id: str, public_key: bytes) -> pb.CheckpointKey:
    """Return a key's message."""
    return pb.CheckpointKey(key_id=key_id, public_key=public_key, pem=public_pem([public_key]))


def progress_message(progress: Progress) -> pb.VerifyLedgerResponse:
    """Return the message of a check in progress."""
    return pb.VerifyLedgerResponse(
        table=progress.table,
        rows=progress.rows,
        rows_estimated=progress.rows_estimated,
        journal_end=progress.journal_end,
    )


def result_message(progress: Progress) -> pb.VerifyLedgerResponse:
    """Return the message of a check that is complete."""
    message = progress_message(progress)
    message.result.consistent = not progress.is_broken
    message.result.rules.extend(
        pb.VerifyRule(name=rule.name, meaning=rule.meaning, broken=rule.broken, first_broken=rule.first)
        for rule in progress.checks.values()
    )
    return message
