"""Figures ↔ messages."""

from collections.abc import Sequence
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from wallet.v1 import operations_service_pb2 as pb

from wallet_core.domain.model.attention import Vitals
from wallet_core.domain.model.figures import CurrencyFigures, Figures, OrderFigures
from wallet_core.domain.model.webhook import WebhookVitals
from wallet_grpc.convert.values import money_message, optional_time, timestamp_message

_MEDIAN, _P99 = 0.5, 0.99


def figures_message(figures: Figures, vitals: Vitals, webhooks: WebhookVitals, calls: Sequence[float]) -> pb.Figures:
    """Return the message of all figures; *calls* are the durations of recent calls in seconds, the shortest first."""
    return pb.Figures(
        time=timestamp_message(figures.time),
        currencies=[_currency(one) for one in figures.currencies],
        withdrawals=_orders(figures.withdrawals),
        scheduled_deposits=_orders(figures.scheduled_deposits),
        transactions_per_second=figures.transactions_per_second,
        call_median=_quantile(calls, _MEDIAN),
        call_p99=_quantile(calls, _P99),
        journal_end=vitals.journal_end,
        events_unpublished=vitals.unpublished,
        events_unpublished_age=_duration(vitals.unpublished_for),
        checkpoint_time=optional_time(vitals.checkpoint_time),
        bank_statement_read_time=optional_time(vitals.bank_statement_read_time),
        bank_statement_end=figures.bank_statement_end,
        bank_statement_unmatched=figures.bank_statement_unmatched,
        discrepancies=figures.discrepancies,
        webhooks=pb.WebhookFigures(
            pending=webhooks.pending,
            pending_since=optional_time(webhooks.oldest_pending),
            dead=webhooks.dead,
            disabled=webhooks.disabled,
        ),
        processes=[pb.ProcessFigures(name=name, connections=count) for name, count in figures.processes.items()],
    )


def _currency(one: CurrencyFigures) -> pb.CurrencyFigures:
    return pb.CurrencyFigures(
        in_wallets=money_message(one.in_wallets),
        held=money_message(one.held) if one.held is not None else None,
        in_transit=money_message(one.in_transit),
        commission=money_message(one.commission),
    )


def _orders(one: OrderFigures) -> pb.OrderFigures:
    return pb.OrderFigures(
        scheduled=one.scheduled,
        due=one.due,
        processing=one.processing,
        in_doubt=one.in_doubt,
        due_since=optional_time(one.due_since),
        processing_since=optional_time(one.processing_since),
        in_doubt_since=optional_time(one.in_doubt_since),
    )


def _quantile(ordered: Sequence[float], share: float) -> Duration | None:
    return _duration(timedelta(seconds=ordered[int(share * (len(ordered) - 1))])) if ordered else None


def _duration(length: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(length)
    return message
