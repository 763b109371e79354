"""Mistakes in what is loaded, locked, stored and read."""

from tests.mutants.change import Change
from tests.mutants.mistake import Mistake

WALLETS = "wallet_core/storage/posting/wallets.py"

STORAGE = (
    Mistake(
        "verify takes a kept checkpoint for stored where another one is",
        (
            Change(
                "wallet_core/storage/verify/checkpoints.py:is_stored",
                "stored is not None and Checkpoint(*stored) == kept and (kept.number < start or _states(tx, kept))",
                "stored is not None and (kept.number < start or _states(tx, kept))",
            ),
        ),
        "tests/storage/test_checkpoints.py tests/grpc/test_audit.py",
    ),
    Mistake(
        "an export of checkpoints continues where the history was changed",
        (
            Change(
                "walletctl/commands/checkpoints.py:_continue",
                "next(found, None) != kept[-1]",
                "next(found, None) is None",
            ),
        ),
        "tests/e2e/test_walletctl_audit.py",
    ),
    Mistake(
        "wallets are read without their locks",
        (
            Change(f"{WALLETS}:LOCK_WALLETS", "ORDER BY key FOR NO KEY UPDATE", "ORDER BY key"),
            Change(f"{WALLETS}:LOCK_WALLETS_SKIP_LOCKED", "LOCK_WALLETS.rstrip() + ' SKIP LOCKED\\n'", "LOCK_WALLETS"),
        ),
        "tests/concurrency/test_races.py tests/storage/test_locking.py",
    ),
    Mistake(
        "a change made without the lock is overwritten",
        (Change(f"{WALLETS}:UPDATE_WALLETS", "AND wallets.sequence = moved.loaded_sequence", ""),),
        "tests/storage/test_write_guards.py",
    ),
    Mistake(
        "a statement is final while a commit is pending",
        (
            Change(
                "wallet_core/storage/posting/load_and_store.py:_send",
                "tx.execute(ENTER)",
                "tx.execute(\"SELECT current_setting('wallet.session', true), 1\")",
            ),
        ),
        "tests/storage/test_provisional_statements.py",
    ),
    Mistake(
        "a batch is decided in another session",
        (Change("wallet_core/storage/posting/load_and_store.py:load", "not is_own(tx, mark)", "False"),),
        "tests/storage/test_sessions.py",
    ),
    Mistake(
        "a commit whose connection was lost is reported as not done",
        (
            Change(
                "wallet_core/storage/connections/engine.py:transaction", "may_be_stored = True", "may_be_stored = False"
            ),
        ),
        "tests/storage/test_cannot_serve.py",
    ),
    Mistake(
        "a read-only server is served from",
        (
            Change(
                "wallet_core/storage/connections/readiness.py:Readiness.check",
                "self._ask(_require_own, _require_writes, require_schema)",
                "self._ask(_require_own, require_schema)",
            ),
        ),
        "tests/storage/test_cannot_serve.py",
    ),
    Mistake(
        "a frozen server blocks all others where PostgreSQL does not end its transaction",
        (Change("wallet_core/storage/connections/engine.py:pipelined", "bounds_transactions(tx)", "True"),),
        "tests/faults/test_frozen_server.py",
    ),
    Mistake(
        "a commit between the check for open batches and the statement is in neither",
        (
            Change(
                "wallet_core/storage/connections/reader.py:Reader.read_after",
                "looked = look(tx.execution_options(isolation_level='AUTOCOMMIT'))\ntx.commit()\n"
                "return _of_one_instant(tx, lambda tx: read(tx, looked))",
                "return _of_one_instant(tx, lambda tx: read(tx, look(tx)))",
            ),
        ),
        "tests/storage/test_provisional_statements.py",
    ),
    Mistake(
        "one local database host of two counts as both",
        (
            Change(
                "wallet_core/storage/connections/transport.py:is_private",
                'all(_is_here(address or host or "") for host, address in zip_longest(hosts, addresses))',
                'any(_is_here(address or host or "") for host, address in zip_longest(hosts, addresses))',
            ),
        ),
        "tests/unit/test_safe_start.py",
    ),
    Mistake(
        "a list ends with its first page",
        (Change("wallet_core/storage/reads/pages.py:Listing.page", "len(found) > size", "len(found) > size + 1"),),
        "tests/grpc/test_lists.py",
    ),
    Mistake(
        "totals of the thousand entries that a batch completes are not stored",
        (
            Change(
                "wallet_core/storage/posting/totals.py:store_totals", "sequence // EVERY + 1", "sequence // EVERY + 2"
            ),
        ),
        "tests/storage/test_totals.py",
    ),
)
