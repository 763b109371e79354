"""Settings → the policies and limits of each job, in the types that the jobs take."""

from datetime import timedelta

from wallet_core.addresses import EndpointPolicy
from wallet_core.domain.model.attention import AttentionPolicy
from wallet_core.domain.model.payment_order import PaymentPolicy
from wallet_core.domain.model.webhook import WebhookPolicy
from wallet_core.settings import Settings
from wallet_core.usecases.app import PayoutSettings, WebhookSettings
from wallet_core.usecases.verify_ledger import Pace


def payouts(settings: Settings) -> PayoutSettings:
    """Return when payouts are sent, repeated, reconciled and given up."""
    return PayoutSettings(
        policy=PaymentPolicy(
            # One attempt at a bank that ignores idempotency keys: a second one could pay twice.
            attempts_max=settings.payouts.attempts_max if settings.bank.idempotent else 1,
            resends_max=settings.payouts.resends_max,
            backoff_first=timedelta(seconds=settings.payouts.backoff_first_s),
            backoff_max=timedelta(seconds=settings.payouts.backoff_max_s),
            retry_after_max=timedelta(seconds=settings.payouts.retry_after_max_s),
            lease=timedelta(seconds=settings.payouts.lease_s),
            grace=timedelta(seconds=settings.payouts.grace_s),
            bank_key_retention=timedelta(seconds=settings.bank.key_retention_s),
            attention_after=timedelta(seconds=settings.payouts.attention_after_s),
        ),
        parallelism=settings.payouts.parallelism,
        send_window_s=settings.payouts.send_window_s,
        resends=settings.bank.idempotent,
        bank_statement_page=settings.bank.statement_page,
    )


def webhooks(settings: Settings) -> WebhookSettings:
    """Return when deliveries are sent, repeated and removed, and which endpoints are allowed."""
    webhooks = settings.webhooks
    return WebhookSettings(
        policy=WebhookPolicy(
            retries=tuple(timedelta(seconds=delay_s) for delay_s in webhooks.retry_delays_s),
            jitter=webhooks.retry_jitter,
            retry_after_max=timedelta(seconds=webhooks.retry_after_max_s),
            lease=timedelta(seconds=webhooks.lease_s),
            # What is left of the lease is for the request and its mark.
            send_within=timedelta(seconds=webhooks.lease_s / 3),
        ),
        endpoints=EndpointPolicy(
            allows_http=settings.process.mode == "development", private_networks=webhooks.private_networks
        ),
        count_max=webhooks.count_max,
        owner_count_max=webhooks.owner_count_max,
        secret_overlap=timedelta(seconds=webhooks.secret_overlap_s),
        parallelism=webhooks.parallelism,
        endpoint_parallelism=webhooks.endpoint_parallelism,
        delivered_kept=timedelta(seconds=webhooks.delivered_kept_s),
        dead_kept=timedelta(seconds=webhooks.dead_kept_s),
    )


def attention(settings: Settings) -> AttentionPolicy:
    """Return from when on an item is on the attention list."""
    return AttentionPolicy(
        after=timedelta(seconds=settings.payouts.attention_after_s),
        bank_provides_statement=settings.bank.provides_statement,
        bank_statement_line_due=timedelta(seconds=settings.bank.statement_line_due_s),
        clock_behind_max=timedelta(seconds=settings.ledger.clock_behind_max_s),
        events_after=timedelta(seconds=settings.journal.attention_after_s),
        checkpoints_after=timedelta(seconds=settings.checkpoints.attention_after_s),
    )


def pace(settings: Settings) -> Pace:
    """Return how fast a check of the ledger may read."""
    return Pace(
        connections=settings.verify.connections,
        slice_rows=settings.verify.slice_rows,
        pause_factor=settings.verify.pause_factor,
    )
