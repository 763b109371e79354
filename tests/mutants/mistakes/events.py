"""Mistakes in the outbox, the journal and watches."""

from tests.mutants.change import Change
from tests.mutants.mistake import Mistake

JOURNAL = "tests/storage/test_journal.py"
RETENTION = "tests/storage/test_retention.py"
WATCH = "tests/grpc/test_watch.py tests/grpc/test_watch_access.py"
TRANSFERS = "tests/grpc/test_transfers.py"
APPLY = "wallet_core/domain/deciding/apply.py"
POSTING = "wallet_core/storage/posting/load_and_store.py"
WRITING_JOURNAL = "wallet_core/storage/scheduling/journal.py"

EVENTS = (
    Mistake(
        "two processes write the journal at the same time",
        (Change(f"{WRITING_JOURNAL}:Journal.write", "not ours", "ours is None"),),
        JOURNAL,
    ),
    Mistake(
        "events are published in the order in which the database returns them",
        (
            Change(
                f"{WRITING_JOURNAL}:TAKE_OUTBOX_EVENTS", "ORDER BY position LIMIT %s", "ORDER BY position DESC LIMIT %s"
            ),
        ),
        JOURNAL,
    ),
    Mistake(
        "a change is stored and no event published",
        (Change(f"{POSTING}:store", "store_events(tx, ledger)", "None"),),
        f"{JOURNAL} {TRANSFERS}",
    ),
    Mistake(
        "each journal record is chained to the last one of the previous write",
        (Change(f"{WRITING_JOURNAL}:Journal.write", "hash_ = record.hash", "hash_ = hash_"),),
        JOURNAL,
    ),
    Mistake(
        "the hash of a journal record does not cover the records before it",
        (
            Change(
                "wallet_core/domain/model/event.py:JournalRecord.chained",
                "before + '\\n'.join(map(str, fields)).encode()",
                "'\\n'.join(map(str, fields)).encode()",
            ),
        ),
        JOURNAL,
    ),
    Mistake(
        "a watcher that is behind the shared feed gets the feed's events",
        (
            Change(
                "wallet_core/usecases/follow_journal.py:JournalFeed.after",
                "self._lines[0].number <= number + 1",
                "self._lines",
            ),
            Change(
                "wallet_core/usecases/follow_journal.py:JournalFeed.after",
                "number + 1 - self._lines[0].number",
                "max(0, number + 1 - self._lines[0].number)",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "a watch continues in a journal that was restored to before it",
        (
            Change(
                "wallet_grpc/convert/resume_tokens.py:ResumeTokens.read",
                "Place.after(reads.journal_record(place.number)) != place",
                "reads.journal_record(place.number) is None",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "a confined watcher gets events of other owners' wallets",
        (
            Change(
                "wallet_grpc/servicers/event.py:_Filter.of",
                "self._view.shows_numbers or not readable.isdisjoint(record.event.wallets)",
                "True",
            ),
        ),
        WATCH,
    ),
    Mistake(
        "an event names one of the wallets of its transaction only",
        (Change(f"{APPLY}:_publish", "one.wallets", "one.wallets[:1]"),),
        f"{JOURNAL} {WATCH}",
    ),
    Mistake(
        "the hash of a journal record does not cover its facts",
        (
            Change(
                "wallet_core/domain/model/event.py:JournalRecord.chained",
                "self.event.facts is not None",
                "False",
            ),
        ),
        f"{JOURNAL} tests/storage/test_verify_events.py",
    ),
    Mistake(
        "the facts of a transaction leave out the request that it follows from",
        (Change("wallet_core/domain/deciding/facts.py:posted", "origin is not None", "False"),),
        "tests/storage/test_verify_events.py",
    ),
    Mistake(
        "a checkpoint counts money that is not in the journal yet",
        (
            Change(
                "wallet_core/storage/scheduling/checkpoints.py:STATE",
                "sum(balance - coalesce(moved.amount, 0))",
                "sum(balance)",
            ),
        ),
        "tests/storage/test_checkpoints.py",
    ),
    Mistake(
        "the hash of a journal record covers its time to the millisecond only",
        (
            Change(
                "wallet_core/domain/model/event.py:JournalRecord.chained",
                "microseconds_of(self.event.time)",
                "microseconds_of(self.event.time) // 1000",
            ),
        ),
        JOURNAL,
    ),
    Mistake(
        "records are dropped under any signature",
        (Change("wallet_core/storage/retention/pruning.py:prune", "not is_trusted(summary, keys)", "False"),),
        RETENTION,
    ),
    Mistake(
        "what webhooks may need is summed up",
        (
            Change(
                "wallet_core/storage/retention/summaries.py:DUE",
                "SELECT number AS needed FROM webhook_cursor",
                "SELECT 1000000::bigint AS needed",
            ),
        ),
        RETENTION,
    ),
    Mistake(
        "the tables are not compared with what was summed up",
        (Change("wallet_core/storage/verify/summaries.py:Beginning.is_right", "not compare", "True"),),
        RETENTION,
    ),
    Mistake(
        "a watcher skips records that were dropped",
        (
            Change(
                "wallet_grpc/servicers/event.py:EventServicer.WatchEvents",
                "records and records[0].number != place.number + 1",
                "False",
            ),
        ),
        WATCH,
    ),
)
