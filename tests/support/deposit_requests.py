"""Requests about scheduled deposits into Alice's wallet, and the jobs that execute them."""

from datetime import timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import schedule_service_pb2 as pb

from scheduler.jobs import collect_due_deposits, credit_due_deposits, reconcile_collections
from tests.support.api import Api
from tests.support.callers import aware
from tests.support.requests import money, new_id
from wallet_core.usecases.app import App

ALICE = "wallets/alice"
SCHEDULED, SUCCEEDED = pb.ScheduledDeposit.STATE_SCHEDULED, pb.ScheduledDeposit.STATE_SUCCEEDED
CANCELLED, FAILED = pb.ScheduledDeposit.STATE_CANCELLED, pb.ScheduledDeposit.STATE_FAILED
JOBS = (credit_due_deposits, collect_due_deposits, reconcile_collections)
HALF_AN_HOUR, HOUR = timedelta(minutes=30), timedelta(hours=1)


def schedule_request(**fields: Any) -> pb.ScheduleDepositRequest:  # noqa: ANN401  # a request's fields
    """Return a deposit of 300 into Alice's wallet, now and without the bank, but for these fields."""
    requests = {"wallet": ALICE, "amount": money(300), "request_id": new_id(), **fields}
    return pb.ScheduleDepositRequest(**requests)


def schedule(api: Api, **fields: Any) -> pb.ScheduledDeposit:  # noqa: ANN401  # a request's fields
    """Schedule this deposit; return it."""
    scheduled = api.ok(schedule_request(**fields)).scheduled_deposit
    assert isinstance(scheduled, pb.ScheduledDeposit)
    return scheduled


def cancel_request(name: str, **fields: Any) -> pb.CancelScheduledDepositRequest:  # noqa: ANN401  # a request's fields
    """Return the cancellation of a scheduled deposit."""
    return pb.CancelScheduledDepositRequest(name=name, **{"request_id": new_id(), **fields})


def time_after_opening(api: Api, wait: timedelta = HALF_AN_HOUR) -> Timestamp:
    """Return a time that is *wait* after Alice's wallet was made, by the database's clock."""
    at = Timestamp()
    at.FromDatetime(aware(api.wallet("alice").create_time) + wait)
    return at


def run_jobs(app: App, clock_offset: timedelta = timedelta()) -> int:
    """Run a round of every job that could touch a scheduled deposit; return how many pieces of work there were."""
    return sum(job.run_once(app, clock_offset=clock_offset).claimed for job in JOBS)
