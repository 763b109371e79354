"""Mistakes in decisions about money and rights, and in what callers are answered."""

from tests.mutants.change import Change
from tests.mutants.mistake import Mistake

TRANSFERS = "tests/grpc/test_transfers.py"
APPLY = "wallet_core/domain/deciding/apply.py"
TRANSFERRING = "wallet_core/domain/commands/transfers"

LEDGER = (
    Mistake(
        "of two payments at once under one unique reference both are made",
        (
            Change(
                "wallet_core/storage/posting/references.py:store_references",
                "_INSERT_REFERENCES.write(tx, rows)",
                "Insert('unique_references', _COLUMNS, clause='ON CONFLICT DO NOTHING').write(tx, rows)",
            ),
        ),
        "tests/concurrency/test_reference_races.py",
    ),
    Mistake(
        "a call that only validates uses the unique reference",
        (Change(f"{APPLY}:_copy_for", "dict(ledger.references)", "ledger.references"),),
        "tests/grpc/test_unique_references.py tests/unit/test_decide.py",
    ),
    Mistake(
        "held money stays available",
        (Change(f"{APPLY}:_reserve", "found.held += amount", ""),),
        "tests/unit/test_decide.py tests/unit/test_decide_limits.py tests/grpc/test_holds.py",
    ),
    Mistake(
        "a repeat of a refused request is decided again",
        (
            Change(
                "wallet_core/domain/deciding/records.py:record_of",
                "not isinstance(outcome.refusal, Refusal) or not outcome.refusal.recorded",
                "True",
            ),
        ),
        f"{TRANSFERS} tests/grpc/test_final_under_faults.py",
    ),
    Mistake(
        "an item that is being committed is reported as not done",
        (Change("wallet_core/ledger/group_commit.py:Ticket.wait", "raise OutcomeUnknown", "raise DeadlineTooShort"),),
        "tests/unit/test_group_commit.py",
    ),
    Mistake(
        "a caller without the right takes from the commission wallet",
        (
            Change(
                "wallet_core/domain/model/access.py:Access.require_source",
                "self.may(Right.OPERATIONS) and role_of(wallet) is Role.COMMISSION",
                "role_of(wallet) is Role.COMMISSION",
            ),
        ),
        "tests/grpc/test_operations_money.py",
    ),
    Mistake(
        "every caller that may update wallets grants credit",
        (
            Change(
                "wallet_core/domain/commands/wallets/change_wallet.py:UpdateWallet.require_rights",
                "self.access.require_right(Right.CREDIT)",
                "pass",
            ),
        ),
        "tests/grpc/test_separate_rights.py",
    ),
    Mistake(
        "a confined caller moves money of other owners",
        (
            Change(
                "wallet_core/domain/deciding/decide.py:_decide_one",
                "command.require_owner(ledger)",
                "pass",
            ),
        ),
        "tests/grpc/test_owners.py",
    ),
    Mistake(
        "a transfer is reversed by more than is left of it",
        (
            Change(
                f"{TRANSFERRING}/reverse_transaction.py:ReverseTransaction._amount", "self.amount.minor > left", "False"
            ),
        ),
        "tests/grpc/test_reversals.py",
    ),
    Mistake(
        "a closed wallet receives money",
        (
            Change(
                "wallet_core/domain/deciding/ledger_state.py:LedgerState.credit_wallet",
                "found.state is WalletState.CLOSED",
                "False",
            ),
        ),
        "tests/unit/test_decide.py tests/grpc/test_wallet_life.py",
    ),
)
