"""Documents that agree with the code: errors, states, paths, and which calls are reads."""

import re
from pathlib import Path

from wallet.v1.error_reason_pb2 import ErrorReason

from wallet_core.domain.model import errors
from wallet_core.domain.model.payment_order import CREDIT_TRANSITIONS, TRANSITIONS
from wallet_grpc.descriptors import CALLS, READS
from wallet_grpc.errors.catalogue import CATALOGUE
from wallet_grpc.errors.kinds import (
    CredentialsInvalid,
    Defect,
    InvalidFields,
    PageTokenInvalid,
    RateLimited,
    WatchCursorExpired,
    WatcherTooSlow,
)

# What calls that only look begin with.
LOOKS = ("Get", "BatchGet", "List", "Quote", "Export", "Watch", "Verify")

ROOT = Path(__file__).parents[2]

# An example of each error, to learn its metadata's keys from.
EXAMPLES: list[errors.WalletError] = [
    InvalidFields([errors.InvalidField("amount", "is missing")]),
    errors.InvalidField("amount", "is missing"),
    PageTokenInvalid(),
    errors.FilterInvalid(4, "~", "is no operator"),
    errors.SystemWalletForbidden("wallets/system:external:USD"),
    errors.ResourceNotFound("wallets/alice"),
    errors.ResourceExists("wallets/alice"),
    errors.RequestIdReused("id", "Transfer", "transactions/1"),
    errors.ExternalReferenceReused("invoice-7", "transactions/1"),
    errors.EtagMismatch("wallets/alice"),
    errors.InsufficientFunds("wallets/alice", "USD", 1, 2),
    errors.WalletNotActive("wallets/alice", "FROZEN"),
    errors.CurrencyMismatch("wallets/alice", "USD"),
    errors.StateTransitionForbidden("withdrawals/1", "FAILED"),
    errors.LimitExceeded("wallets/alice", 1),
    errors.TransactionConflict(),
    errors.ServerOverloaded(),
    errors.DeadlineTooShort(),
    errors.OutcomeUnknown(),
    errors.ResultLost(),
    errors.DatabaseUnavailable(),
    errors.DatabaseNotServing(),
    errors.DatabaseNotReady("because"),
    errors.ServerDraining(),
    errors.ClockBehind(),
    errors.ServiceWalletFull("wallets/system:external:USD", 1),
    Defect(),
    CredentialsInvalid("explanation"),
    RateLimited(),
    WatchCursorExpired("token"),
    WatcherTooSlow(),
    errors.PermissionMissing("money.transfer"),
]


def test_every_error_has_an_example_here() -> None:
    """Or the next test would not see all of them."""

    assert set(CATALOGUE) == {type(example) for example in EXAMPLES}


def codes_of(reason: str) -> str:
    """Return the codes that a reason comes with."""
    return ", ".join(dict.fromkeys(face.code.name for face in CATALOGUE.values() if face.reason_name == reason))


def outcomes_of(reason: str) -> str:
    """Return the outcomes that a reason comes with."""
    return ", ".join(dict.fromkeys(str(face.outcome) for face in CATALOGUE.values() if face.reason_name == reason))


def test_errors_page_equals_the_catalogue() -> None:
    """Reason, codes, metadata keys and outcome, row by row; every value of the enum has a row."""

    page = (ROOT / "docs" / "errors.md").read_text()
    rows = {
        reason: (codes, tuple(re.findall(r"`(\w+)`", metadata)), outcome)
        for reason, codes, metadata, outcome in re.findall(
            r"^\| `([A-Z_]+)` \| ([A-Z_, ]+) \| (.*?) \| (.*?) \|", page, re.MULTILINE
        )
    }
    catalogue = {
        face.reason_name: (codes_of(face.reason_name), tuple(face.metadata(example)), outcomes_of(face.reason_name))
        for example in EXAMPLES
        for face in [CATALOGUE[type(example)]]
    }

    assert catalogue == rows
    assert set(ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"} == {f"ERROR_REASON_{reason}" for reason in rows}


def test_reason_comments_in_the_proto_equal_the_catalogue() -> None:
    """Code and outcome."""

    proto = (ROOT / "protos/wallet/v1/error_reason.proto").read_text()
    faces = CATALOGUE.values()
    for comment, reason in re.findall(r"((?:  // .*\n)+)  ERROR_REASON_(\w+) = [1-9]\d*;", proto):
        text = " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())
        for face in (face for face in faces if face.reason_name == reason):
            assert f"`{face.code.name}`" in text.partition("Code: ")[2].partition(".")[0], reason
            assert f"`{face.outcome}`" in text.partition("Outcome: ")[2], reason


def test_documented_states_are_those_of_the_code() -> None:
    """One table in the code, one drawing for people."""

    page = (ROOT / "docs" / "concepts" / "payouts.md").read_text()
    for arrow, transitions in (("->", TRANSITIONS), ("=>", CREDIT_TRANSITIONS)):
        drawn = set(re.findall(rf"^([A-Z_]+) +{arrow} ([A-Z_]+) ", page, re.MULTILINE))
        assert {(before, after) for before, afters in transitions.items() for after in afters} == drawn


def test_reads_are_declared_as_reads() -> None:
    """A read changes nothing and is declared so in the proto; no other call is."""

    by_name = {path for path in CALLS if path.rpartition("/")[2].startswith(LOOKS)}

    assert by_name == READS


def test_paths_in_documents_exist() -> None:
    """Relative links, and paths in code font that begin with a folder of this repository."""

    rooms = {path.name for path in ROOT.iterdir() if path.is_dir()}
    missing = []
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")):
        text = page.read_text()
        linked = {page.parent / link for link in re.findall(r"\]\((?!https?:)([^)#{]+)(?:#[^)]*)?\)", text)}
        named = {ROOT / path for path in re.findall(r"`([\w.-]+/[\w./-]+)`", text) if path.partition("/")[0] in rooms}
        missing += [f"{page.relative_to(ROOT)}: {path}" for path in linked | named if not path.exists()]

    assert missing == []


def test_settings_in_documents_exist() -> None:
    """A variable that a document names is a setting, or one of the test run's own."""

    listed = re.findall(r"^\| `(WALLET_\w+)`", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    known = {*listed, "WALLET_REQUIRE_ALL", *(name.removeprefix("ERROR_REASON_") for name, _ in ErrorReason.items())}
    unknown = {
        f"{page.relative_to(ROOT)}: {name}"
        for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
        if page.name != "CHANGELOG.md"
        for name in re.findall(r"`(WALLET_[A-Z_]+)\b", page.read_text())
        if name not in known
    }

    assert listed
    assert unknown == set()
