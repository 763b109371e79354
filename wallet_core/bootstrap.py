"""Settings → engine and gateways → App: the only place that wires them."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial

from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    sleep_using_event,
    stop_after_delay,
    stop_any,
    stop_when_event_set,
    wait_random_exponential,
)

from wallet_core import policies
from wallet_core.addresses import EndpointPolicy
from wallet_core.domain.model.errors import DatabaseNotReady, DatabaseUnavailable
from wallet_core.domain.model.receipt import Language, Receipt
from wallet_core.gateways.bank import HttpBank
from wallet_core.gateways.bank_access import BankAccessUnusable, BankCredentials
from wallet_core.gateways.checkpoint_keys import CheckpointSigner, KeyUnusable, is_signed, read_public_keys
from wallet_core.gateways.endpoints import HttpEndpoints
from wallet_core.ledger.ledger import Ledger
from wallet_core.ports import Documents, WebhookMessages
from wallet_core.settings import Settings, SettingsError
from wallet_core.startup_checks import require_login_that_only_serves
from wallet_core.storage.connections.engine import (
    ANYTHING,
    AUDITING,
    CLAIMING,
    MIGRATING,
    POSTING,
    READING,
    SERVICE_ROLE,
    WAKING,
    Engine,
    Limits,
    Use,
    open_engine,
    parse_url,
)
from wallet_core.storage.connections.readiness import (
    Readiness,
    newest_version,
    require_schema,
    require_sessions_of_their_own,
)
from wallet_core.storage.connections.wake_ups import WakeUps
from wallet_core.storage.posting.bank_statement import BankStatementLines
from wallet_core.storage.reads.all import Reads
from wallet_core.storage.retention.pruning import prune
from wallet_core.storage.retention.summaries import IsTrusted, Summaries
from wallet_core.storage.scheduling.checkpoints import Checkpoints
from wallet_core.storage.scheduling.claims import Claims
from wallet_core.storage.scheduling.journal import Journal
from wallet_core.storage.scheduling.rate_limit import BankRateLimit
from wallet_core.storage.scheduling.webhooks import WebhookQueue
from wallet_core.storage.verify.checks import Check, result
from wallet_core.usecases.app import App
from wallet_core.usecases.currencies import Currencies
from wallet_core.usecases.summarize_journal import Summarizing
from wallet_core.usecases.verify_ledger import Auditor, Pace
from wallet_core.usecases.write_checkpoint import Checkpointing

__all__ = ["Check", "migrate", "open_app", "open_auditor", "prune_journal", "verify"]


@contextmanager
def open_app(
    settings: Settings,
    *,
    name: str,
    stopping: threading.Event | None = None,
    calls_bank: bool = False,
    webhook_messages: Callable[[Reads], WebhookMessages] | None = None,
) -> Iterator[App]:
    """Wire the core of a process called *name*, wait for its database, and close everything at the end.

    Raises ``DatabaseUnavailable`` where the database does not come in time, or *stopping* is set before it comes,
    ``DatabaseNotReady`` where its schema is not the one that this release is made for, and ``SettingsError`` in a
    production whose login may do more than serve, and where a process that *calls_bank* has no bank, or nothing that it
    can show to it, and where a font for receipts cannot be used. A process that sends events to webhooks brings
    *webhook_messages*.
    """
    bank, documents = _bank(settings), _Documents(settings)
    with _engines(settings, name) as engines, _wake_ups(settings, name) as waking:
        if calls_bank:
            _require_bank(settings, bank)
        elif settings.receipts.fonts:
            documents.require_fonts()
        readiness = Readiness(engines.posting, others=(engines.reading, engines.claiming))
        _wait_until_ready(readiness, engines, settings, stopping or threading.Event())
        require_login_that_only_serves(settings, engines.posting)
        rate_limit = BankRateLimit(settings.bank.calls_per_s)
        reads = Reads(engines.reading)
        webhooks = policies.webhooks(settings)
        with _ledger(settings, engines.posting, waking) as ledger:
            yield App(
                ledger=ledger,
                reads=reads,
                claims=Claims(engines.claiming, rate_limit),
                bank_statement_lines=BankStatementLines(engines.posting),
                journal=Journal(engines.posting),
                checkpoints=_checkpointing(settings, engines.posting),
                summaries=_summarizing(settings, engines.auditing),
                auditor=_auditor(settings, engines.auditing, policies.pace(settings)),
                on_events=waking.on_events,
                on_records=waking.on_records,
                webhook_queue=WebhookQueue(engines.posting),
                may_call_bank=partial(rate_limit.take_one, engines.claiming),
                ping=readiness.check,
                vitals=Reads(engines.posting).vitals,
                webhook_vitals=Reads(engines.posting).webhook_vitals,
                bank=bank,
                schema_version=newest_version(),
                documents=documents,
                currencies=Currencies(reads.currencies),
                payouts=policies.payouts(settings),
                webhooks=webhooks,
                webhook_endpoints=_webhook_endpoints(settings, webhooks.endpoints),
                webhook_messages=webhook_messages(reads) if webhook_messages is not None else None,
                attention=policies.attention(settings),
                jitter=random.random,
            )


@dataclass(frozen=True, slots=True)
class _Engines:
    """One pool of connections for each use, so that no number of reads, claims or audits exhausts another's."""

    reading: Engine
    posting: Engine
    """For changes and health checks."""
    claiming: Engine
    auditing: Engine


@contextmanager
def _engines(settings: Settings, name: str) -> Iterator[_Engines]:
    sizes = settings.connections
    posting_size = sizes.ledger_pool_size if settings.ledger.group_commit else sizes.pool_size
    auditing_size = settings.verify.concurrent * settings.verify.connections
    with (
        _engine(settings, name=name, pool_size=sizes.pool_size, use=READING) as reading,
        _engine(settings, name=name, pool_size=posting_size, use=POSTING) as posting,
        _engine(settings, name=name, pool_size=sizes.claims_pool_size, use=CLAIMING) as claiming,
        _engine(settings, name=name, pool_size=auditing_size, use=AUDITING) as auditing,
    ):
        yield _Engines(reading, posting, claiming, auditing)


@contextmanager
def _ledger(settings: Settings, engine: Engine, waking: WakeUps) -> Iterator[Ledger]:
    ledger = Ledger(
        engine,
        commit_batch_max=settings.ledger.commit_batch_max,
        commit_queue_max=settings.ledger.commit_queue_max,
        group_commit=settings.ledger.group_commit,
        amount_max=settings.ledger.amount_max,
        clock_behind_max=timedelta(seconds=settings.ledger.clock_behind_max_s),
        on_events=waking.announce_events,
    )
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def _wake_ups(settings: Settings, name: str) -> Iterator[WakeUps]:
    """Yield the wake-ups of a process: one connection announces, and up to two listen."""
    if not settings.journal.wake_ups:
        yield WakeUps(None)
        return
    with _engine(settings, name=name, pool_size=3, use=WAKING) as engine, WakeUps(engine) as waking:
        yield waking


def migrate(settings: Settings, *, owner_url: str | None = None) -> None:
    """Migrate the database to the newest schema, as its owner; wait for it while it starts.

    The owner is the login of *owner_url*; the login of the settings is then created with the service's role, unless it
    exists. Without *owner_url* the settings' login is the owner.
    """
    from wallet_core.storage import migrate as migrations  # noqa: PLC0415  # slow to load, and needed here only

    serving = None
    if owner_url is not None and settings.database.url is not None:
        try:
            named = parse_url(settings.database.url.get_secret_value())
        except ValueError as error:
            raise SettingsError(f"WALLET_DATABASE_URL {error}") from None
        if "user" in named:
            serving = migrations.Login(named["user"], named.get("password"))
    with _engine(settings, name="wallet-migrate", role=None, owner_url=owner_url, use=MIGRATING) as engine:
        _wait_for_database(Readiness(engine).ping, settings, threading.Event())
        migrations.migrate(engine, serving=serving)


def prune_journal(settings: Settings, *, owner_url: str | None = None) -> Iterator[int]:
    """Drop the journal's records that its newest summary sums up; yield how many each step has dropped.

    As the owner, like ``migrate``. Raises ``SummaryNotTrusted``, and ``ServiceError`` where the database fails.
    """
    with _engine(settings, name="wallet-prune", role=None, owner_url=owner_url, use=MIGRATING) as engine:
        Readiness(engine).read(require_schema)
        yield from prune(engine, _is_trusted(settings))


def verify(settings: Settings) -> list[Check]:
    """Verify the ledger in one snapshot. Raises ``DatabaseNotReady`` where the schema is not that of this release."""
    with open_auditor(settings) as auditor:
        return result(auditor.verify(one_snapshot=True))


@contextmanager
def open_auditor(settings: Settings, *, role: str | None = SERVICE_ROLE, connections: int = 1) -> Iterator[Auditor]:
    """Yield what verifies the ledger, acting as *role*, or as the login itself: an auditor's may only read.

    It is as fast as *connections* allow, each of which takes one processor of the database's.

    Raises ``DatabaseNotReady`` where the schema is not that of this release.
    """
    with _engine(settings, name="wallet-verify", pool_size=connections, use=AUDITING, role=role) as engine:
        Readiness(engine).read(require_schema)
        yield _auditor(settings, engine, Pace(connections=connections))


def _auditor(settings: Settings, engine: Engine, pace: Pace) -> Auditor:
    return Auditor(engine, is_signed, _trusted_keys(settings), pace)


def _checkpointing(settings: Settings, engine: Engine) -> Checkpointing:
    key = settings.checkpoints.signing_key
    return Checkpointing(
        Checkpoints(engine),
        CheckpointSigner(key) if key is not None else None,
        every_records=settings.checkpoints.every_records,
        every_s=settings.checkpoints.every_s,
    )


def _summarizing(settings: Settings, engine: Engine) -> Summarizing:
    key, kept = settings.checkpoints.signing_key, settings.journal.kept_s
    return Summarizing(
        Summaries(engine),
        CheckpointSigner(key) if key is not None else None,
        is_trusted=_is_trusted(settings),
        kept=timedelta(seconds=kept) if kept is not None else None,
    )


def _is_trusted(settings: Settings) -> IsTrusted:
    trusted = _trusted_keys(settings)
    return lambda signed, known: is_signed(signed, trusted if trusted is not None else known)


def _trusted_keys(settings: Settings) -> Mapping[str, bytes] | None:
    file = settings.checkpoints.trusted_keys
    try:
        return read_public_keys(file) if file is not None else None
    except KeyUnusable as error:
        raise SettingsError(f"WALLET_CHECKPOINTS_TRUSTED_KEYS: {error}") from None


class _Documents:
    """Documents, whose library is loaded for the first one: a scheduler, which needs none, starts sooner."""

    def __init__(self, settings: Settings) -> None:
        self._fonts = settings.receipts.fonts

    def receipt(self, receipt: Receipt, language: Language) -> bytes:
        """Return a receipt as PDF."""
        return self._pdf.receipt(receipt, language)

    def require_fonts(self) -> None:
        """Raise ``SettingsError`` where a font of the settings cannot be used."""
        from wallet_core.documents.glyphs import FontUnusable, further_fonts  # noqa: PLC0415  # see above

        try:
            further_fonts(self._fonts)
        except FontUnusable as error:
            raise SettingsError(f"WALLET_RECEIPTS_FONTS: {error}") from None

    @cached_property
    def _pdf(self) -> Documents:
        from wallet_core.documents.pdf import PdfDocuments  # noqa: PLC0415  # see above

        return PdfDocuments(self._fonts)


@contextmanager
def _engine(  # noqa: PLR0913  # all but the first by name
    settings: Settings,
    *,
    name: str,
    pool_size: int = 1,
    role: str | None = SERVICE_ROLE,
    owner_url: str | None = None,
    use: Use = ANYTHING,
) -> Iterator[Engine]:
    timeouts = settings.connections
    limits = Limits(
        pool_size=pool_size,
        pool_timeout_s=timeouts.pool_timeout_s,
        connect_timeout_s=timeouts.connect_timeout_s,
        lock_timeout_s=timeouts.lock_timeout_s,
        statement_timeout_s=timeouts.statement_timeout_s,
        idle_in_transaction_timeout_s=timeouts.idle_in_transaction_timeout_s,
        transaction_timeout_s=timeouts.transaction_timeout_s,
    )
    variable = "WALLET_DATABASE_URL" if owner_url is None else "WALLET_DATABASE_OWNER_URL"
    url = settings.required_database_url() if owner_url is None else owner_url
    try:
        engine = open_engine(url, limits, name=name, role=role, use=use)
    except ValueError as error:
        raise SettingsError(f"{variable} {error}") from None
    try:
        yield engine
    finally:
        engine.dispose()


def _wait_until_ready(readiness: Readiness, engines: _Engines, settings: Settings, stopping: threading.Event) -> None:
    def ask() -> None:
        readiness.check()
        require_sessions_of_their_own(engines.posting, engines.reading)

    _wait_for_database(ask, settings, stopping)


def _wait_for_database(ask: Callable[[], None], settings: Settings, stopping: threading.Event) -> None:
    for attempt in Retrying(
        retry=retry_if_exception_type(DatabaseUnavailable) & retry_if_not_exception_type(DatabaseNotReady),
        stop=stop_any(stop_after_delay(settings.database.wait_s), stop_when_event_set(stopping)),
        sleep=sleep_using_event(stopping),
        wait=wait_random_exponential(multiplier=0.05, max=1.0),
        reraise=True,
    ):
        with attempt:
            ask()


def _bank(settings: Settings) -> HttpBank:
    """Return the bank; without an address, which a server does not need, nothing can be sent."""
    token = settings.bank.token
    return HttpBank(
        url=settings.bank.url or "",
        deadline_s=settings.bank.call_deadline_s,
        answer_max_bytes=settings.bank.answer_max_bytes,
        credentials=BankCredentials(
            token=token.get_secret_value() if token is not None else None,
            token_file=settings.bank.token_file,
            ca=settings.bank.ca,
            certificate=settings.bank.certificate,
            key=settings.bank.key,
        ),
    )


def _require_bank(settings: Settings, bank: HttpBank) -> None:
    settings.required_bank_url()
    try:
        bank.credentials.now()
    except BankAccessUnusable as error:
        raise SettingsError(f"the credentials for the bank cannot be used: {error}") from None


def _webhook_endpoints(settings: Settings, policy: EndpointPolicy) -> HttpEndpoints:
    return HttpEndpoints(
        policy=policy,
        deadline_s=settings.webhooks.call_deadline_s,
        response_max_bytes=settings.webhooks.response_max_bytes,
        ca=settings.webhooks.ca,
    )
