"""The ledger: posts commands, one database transaction for whoever is in line."""

from collections.abc import Sequence

from wallet_core.domain.command import Command, Done, Outcome, Refused
from wallet_core.domain.decide import decide
from wallet_core.domain.errors import DeadlineTooShort, LedgerBroken, NotServed, OutcomeUnknown, TransactionConflict
from wallet_core.ledger.group_commit import GroupCommit, Ticket
from wallet_core.storage import posting
from wallet_core.storage.engine import Engine, transaction
from wallet_core.storage.errors import BatchBlocked, BatchError, BatchRefused, DatabaseLost

CommandTicket = Ticket[Command, Outcome]

# A batch that the database refused, or that was lost with its connection, is run once more as it is: what a winner, or
# we ourselves, committed is then seen first and replayed.
_TRIES = 2


class Ledger:
    """Posts commands: load, decide, store, commit; many at once where many are in line.

    A batch that meets a wallet locked by somebody else goes on without it: the calls that need that wallet go to a
    second lane, one at a time, so a stuck wallet delays only its own.
    """

    def __init__(self, engine: Engine, *, batch_max: int, line_max: int, group_commit: bool = True) -> None:
        self._engine = engine
        self._group_commit = group_commit
        self._slow: GroupCommit[Command, Outcome] = GroupCommit(
            "ledger-slow", self._commit_patiently, batch_max=1, line_max=line_max
        )
        self._line: GroupCommit[Command, Outcome] = GroupCommit(
            "ledger", self._commit, batch_max=batch_max, line_max=line_max
        )

    def post(self, command: Command, deadline: float | None = None) -> Done:
        """Commit *command*, alone or with its neighbours; raise its refusal, or ``NotServed``.

        *deadline* is on the monotonic clock. Looked at once the locks are held; from there the call commits.
        """
        if self._group_commit:
            outcome = self._line.submit(command, deadline)
        else:
            ticket: CommandTicket = Ticket(command, deadline)
            ticket.take()
            self._commit([ticket])
            outcome = ticket.wait()
        if isinstance(outcome, Refused):
            raise outcome.refusal
        return outcome

    def close(self) -> None:
        """Finish what is in line, then stop."""
        self._line.close()
        self._slow.close()

    def _commit(self, tickets: Sequence[CommandTicket]) -> None:
        """Run the batch; again if it lost a race; in halves until a call that cannot be stored stands alone."""
        told: NotServed = TransactionConflict()
        cause: BaseException | None = None
        lost = False
        for _ in range(_TRIES):
            try:
                self._run(tickets, lost=lost)
            except DatabaseLost as error:
                told, lost = error.told, True  # from here on nobody may hear that nothing was done
            except BatchRefused as error:
                told, cause = told if lost else error.told, error
            except BatchBlocked:
                if not lost:
                    self._run_around_locks(tickets)
                    return
            except BatchError as error:
                _fail(tickets, told if lost else error.told)
                return
            else:
                return
        if lost or len(tickets) == 1:
            _fail(tickets, told, cause)
            return
        half = len(tickets) // 2
        self._commit(tickets[:half])
        self._commit(tickets[half:])

    def _run_around_locks(self, tickets: Sequence[CommandTicket]) -> None:
        try:
            self._run(tickets, skip_locked=True)
        except (BatchRefused, BatchBlocked):
            self._hand_on(tickets)
        except BatchError as error:
            _fail(tickets, error.told)

    def _commit_patiently(self, tickets: Sequence[CommandTicket]) -> None:
        """Serve the second lane: one call, which may wait for its locks, and hears so if they do not come free."""
        told: NotServed = TransactionConflict()
        cause: BaseException | None = None
        lost = False
        for _ in range(_TRIES):
            try:
                self._run(tickets, lost=lost)
            except BatchError as error:
                told, cause = told if lost else error.told, error
                lost = lost or isinstance(error, DatabaseLost)
            else:
                return
        _fail(tickets, told, cause)

    def _run(self, tickets: Sequence[CommandTicket], *, skip_locked: bool = False, lost: bool = False) -> None:
        """Load, decide, store and commit once, then answer; with *skip_locked* hand on those whose wallets are held.

        *lost* says that an earlier try may have been committed.
        """
        expired: list[CommandTicket] = []
        blocked: list[CommandTicket] = []
        wanted: list[CommandTicket] = []
        with transaction(self._engine) as tx:
            loaded = posting.load(tx, [ticket.item for ticket in tickets], skip_locked=skip_locked)
            for ticket, is_blocked in zip(tickets, loaded.blocked, strict=True):
                (expired if ticket.expired else blocked if is_blocked else wanted).append(ticket)
            try:
                outcomes = decide(loaded.books, [ticket.item for ticket in wanted])
            except Exception as error:
                # A defect in one command: halving finds it, and its neighbours go on.
                raise BatchRefused(LedgerBroken()) from error
            posting.store(tx, loaded.books)
        for ticket, outcome in zip(wanted, outcomes, strict=True):
            ticket.answer(outcome)
        _fail(expired, OutcomeUnknown() if lost else DeadlineTooShort())
        self._hand_on(blocked)

    def _hand_on(self, tickets: Sequence[CommandTicket]) -> None:
        for ticket in tickets:
            ticket.put_back()
            try:
                self._slow.enter(ticket)
            except NotServed as full:
                _fail([ticket], full)


def _fail(tickets: Sequence[CommandTicket], told: NotServed, cause: BaseException | None = None) -> None:
    """Fail each ticket with an error of its own: callers' threads raise them at the same time."""
    for ticket in tickets:
        error = type(told)()
        error.__cause__ = cause
        ticket.fail(error)
