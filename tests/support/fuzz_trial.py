"""Calls that may be anything, each judged by what the documents promise of its answer."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import psycopg
from google.rpc import error_details_pb2
from psycopg import sql
from wallet.v1 import transaction_service_pb2 as transaction_pb

from tests.support.api import ENDLESS, Api
from tests.support.fuzzing import message_of
from tests.support.wire import Answer, all_methods, answer_of, path_of
from wallet_grpc.descriptors import READS

METHODS = {path_of(method): method for method in all_methods()}
WRITES = [path for path in METHODS if f"/wallet.v1.{path}" not in READS]

_ROOT = Path(__file__).parents[2]

# Internal texts of ours and of the database that no caller is to see.
LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|psycopg|sqlalchemy|protovalidate|site-packages|/(home|tmp|usr|var)/|object at 0x"
    r"|SELECT |INSERT |UPDATE |DELETE |violates|constraint|relation |column |pg_|DETAIL|Exception|\w+Error\b"
)


@dataclass(frozen=True, slots=True)
class Documented:
    """A reason as docs/errors.md has it."""

    codes: Sequence[str]
    keys: frozenset[str]
    outcomes: Sequence[str]


@cache
def documented() -> Mapping[str, Documented]:
    """Return all reasons."""
    page = (_ROOT / "docs" / "errors.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([A-Z_, ]+) \| (.*?) \| (.*?) \|", page, re.MULTILINE)
    return {
        reason: Documented(codes.split(", "), frozenset(re.findall(r"`(\w+)`", keys)), outcomes.split(", "))
        for reason, codes, keys, outcomes in rows
    }


@cache
def listed_reasons() -> Mapping[str, Sequence[str]]:
    """Return for each call, e.g. ``Deposit``, the reasons that its comment in the protos lists, in that order."""
    listed: dict[str, list[str]] = {}
    for file in sorted((_ROOT / "protos").rglob("*_service.proto")):
        for comment, call in re.findall(r"((?:^  //.*\n)+)  rpc (\w+)\(", file.read_text(), re.MULTILINE):
            found = re.findall(r"`([A-Z]+_[A-Z_]+)`", comment.partition("// Errors")[2])
            listed[call] = [name for name in found if not name.startswith("BATCH_MODE_")]
    listed["BatchTransfer"] += listed["Transfer"]  # of the first item that is refused
    return listed


class Recording(Api):
    """A channel that keeps all text that comes with a refusal."""

    def call_with_text(self, path: str, sent: bytes) -> tuple[Answer, str]:
        """Call a method; return its answer, and all text that came with it if it is a refusal."""
        kind = self._channel.unary_stream if METHODS[path].server_streaming else self._channel.unary_unary
        call = kind(f"/wallet.v1.{path}", request_serializer=bytes, response_deserializer=bytes)
        try:
            answered: Any = call(sent, timeout=20, wait_for_ready=True, metadata=self._metadata)
            if path in ENDLESS:
                first = next(answered)
                answered.cancel()
                return Answer(code="OK", body=first), ""
            return Answer(code="OK", body=answered if isinstance(answered, bytes) else b"".join(answered)), ""
        except grpc.RpcError as error:
            ended: Any = error  # which is the call too
            results = [value for pair in ended.trailing_metadata() or () for value in pair]
            texts = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in results]
            return answer_of(error), "\n".join([error.details() or "", *texts])


@dataclass
class Trial:
    """Calls that are each judged, and counted by what came of them."""

    recording: Recording
    owner: psycopg.Connection
    seed: str
    also: frozenset[str] = frozenset()
    """Reasons that this caller may get from any call."""
    tried: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    decided: Counter[str] = field(default_factory=Counter)
    """Those that were done, or refused for more than their shape."""
    query: sql.Composed | None = None
    before: dict[str, str] = field(default_factory=dict)

    def send(self, path: str, sent: bytes) -> Answer:
        """Send bytes to a method; check that the answer is as it must be, and that a refusal has changed nothing."""
        if not self.tried[path]:
            self.before = self.fingerprint()
        answer, text = self.recording.call_with_text(path, sent)
        self.tried[path] += 1
        self.refused[path] += answer.code != "OK"
        self.decided[path] += answer.reason not in {"INVALID_FIELDS", "FILTER_INVALID", "PAGE_TOKEN_INVALID"}
        try:
            self._judge(path, answer, text)
            if path in WRITES:
                self._compare(path, sent, answer)
        except AssertionError as error:
            error.add_note(f"seed {self.seed}, {path}, {sent[:3000].hex()}\n{answer}\n{text[:3000]}")
            raise
        return answer

    def _judge(self, path: str, answer: Answer, message: str) -> None:
        if answer.code == "OK":
            for result in results_of(path, answer):
                if result.HasField("error"):
                    self._judge_item(result.error)
            return
        assert len(answer.infos) == 1
        assert answer.infos[0].domain == "wallet.example.com"
        self._judge_reason(path, answer.reason, answer.metadata)
        assert answer.code in documented()[answer.reason].codes
        assert (answer.reason == "INVALID_FIELDS") == bool(answer.violations)
        assert not LEAKS.search(message)

    def _judge_item(self, error: Any) -> None:  # noqa: ANN401  # google.rpc has no types
        (info,) = (one for one in error.details if one.Is(error_details_pb2.ErrorInfo.DESCRIPTOR))
        unpacked = error_details_pb2.ErrorInfo()
        info.Unpack(unpacked)
        self._judge_reason("TransactionService/Transfer", unpacked.reason, dict(unpacked.metadata))
        assert error.code in {grpc.StatusCode[code].value[0] for code in documented()[unpacked.reason].codes}
        assert not LEAKS.search(error.message)

    def _judge_reason(self, path: str, reason: str, metadata: Mapping[str, str]) -> None:
        """Check that it is a reason that the call lists: so never INTERNAL, and nothing that only time would mend."""
        assert reason in {*listed_reasons()[METHODS[path].name], *self.also}
        assert metadata.keys() - {"item", "outcome"} == documented()[reason].keys

    def _compare(self, path: str, sent: bytes, answer: Answer) -> None:
        """Check that nothing has changed but the record of what is final, and nothing by what is only validated."""
        before, self.before = self.before, self.fingerprint()
        changed = {table for table in before if before[table] != self.before[table]}
        if answer.code != "OK":
            assert answer.outcome in documented()[answer.reason].outcomes
            assert changed <= ({"requests"} if answer.outcome == "NOT_DONE" else set())
            return
        request: Any = message_of(METHODS[path].input_type).FromString(sent)
        results = results_of(path, answer)
        if request.validate_only:
            assert changed == set()
        elif results and all(result.HasField("error") for result in results):
            assert changed <= {"requests"}

    def assert_nothing_changed(self) -> None:
        """Check that nothing at all has changed since the last call that may change something."""
        assert self.fingerprint() == self.before

    def fingerprint(self) -> dict[str, str]:
        """Return fingerprints that differ for two states of a table if any row differs, or was only rewritten."""
        if self.query is None:
            names = self.owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            one = "SELECT {}, count(*) || '/' || bit_xor(hashtextextended(ctid::text || xmin::text, 0)) FROM {}"
            parts = (sql.SQL(one).format(sql.Literal(name), sql.Identifier(name)) for (name,) in sorted(names))
            self.query = sql.SQL(" UNION ALL ").join(parts)
        return dict(self.owner.execute(self.query, prepare=True).fetchall())


def results_of(path: str, answer: Answer) -> Sequence[transaction_pb.BatchTransferResult]:
    """Return what came of each item, if these are results of items."""
    if not path.endswith("/BatchTransfer"):
        return ()
    return transaction_pb.BatchTransferResponse.FromString(answer.body).results
