"""Requests about reserved withdrawals from Alice's wallet, and the jobs that execute them."""

from datetime import timedelta
from typing import Any

from wallet.v1 import schedule_service_pb2 as pb

from scheduler.jobs import pay_due_withdrawals, reconcile_withdrawals
from tests.support.api import Api
from tests.support.requests import an_update, money, new_id
from tests.support.wire import Answer
from wallet_core.usecases.app import App

ALICE, BOB = "wallets/alice", "wallets/bob"


def schedule_request(**fields: Any) -> pb.ScheduleWithdrawalRequest:  # noqa: ANN401  # a request's fields
    """Return a payout of 300 from Alice's wallet, now and reserved, but for these fields."""
    requests = {"wallet": ALICE, "amount": money(300), "request_id": new_id(), "reserve": True, **fields}
    return pb.ScheduleWithdrawalRequest(**requests)


def schedule(api: Api, **fields: Any) -> pb.Withdrawal:  # noqa: ANN401  # a request's fields
    """Schedule this payout; return it."""
    scheduled = api.ok(schedule_request(**fields)).withdrawal
    assert isinstance(scheduled, pb.Withdrawal)
    return scheduled


def cancel_request(name: str, **fields: Any) -> pb.CancelWithdrawalRequest:  # noqa: ANN401  # a request's fields
    """Return the cancellation of a withdrawal."""
    return pb.CancelWithdrawalRequest(name=name, **{"request_id": new_id(), **fields})


def allow_overdraft(api: Api, minor_units: int) -> Answer:
    """Set how far Alice may overdraw."""
    return api.answer(an_update("alice", overdraft_limit=money(minor_units)))


def run_jobs(app: App, clock_offset: timedelta = timedelta()) -> int:
    """Run one round of payouts and one of reconciliation; return how many pieces of work there were."""
    jobs = (pay_due_withdrawals, reconcile_withdrawals)
    return sum(job.run_once(app, clock_offset=clock_offset).claimed for job in jobs)
