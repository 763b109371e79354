"""Holds for tests: placed over the wire, and what they are compared by."""

from datetime import timedelta
from uuid import uuid4

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import hold_service_pb2 as pb

from tests.support.api import Api
from tests.support.requests import LATE, a_hold, stamp
from walletctl.local.waiting import wait_until

ACTIVE, CAPTURED, VOIDED, EXPIRED = (
    pb.Hold.STATE_ACTIVE,
    pb.Hold.STATE_CAPTURED,
    pb.Hold.STATE_VOIDED,
    pb.Hold.STATE_EXPIRED,
)
TO_2126 = timedelta(days=36_525)  # from any of our days past LATE
NO_HOLD = f"holds/{uuid4()}"


def after_late(seconds: int) -> Timestamp:
    """Return the time this many seconds after LATE."""
    return Timestamp(seconds=LATE.seconds + seconds)


def hold_summary(api: Api, hold: str) -> tuple[int, int, int]:
    """Return a hold's state, what was captured of it, and what remains."""
    found = api.hold(hold)
    return found.state, found.captured_amount.minor_units, found.remaining_amount.minor_units


def place_hold(api: Api, wallet: str, units: int) -> str:
    """Place a hold; return its name."""
    return str(api.ok(a_hold(wallet, units)).hold.name)


def time_in(owner: psycopg.Connection, ms: int) -> Timestamp:
    """Return the time this many milliseconds from now, by the database's clock."""
    row = owner.execute("SELECT clock_timestamp() + %s * interval '1 ms'", [ms]).fetchone()
    assert row is not None
    return stamp(row[0])


def overdue_hold(api: Api, owner: psycopg.Connection, wallet: str, units: int) -> str:
    """Place a hold and wait until its time is over, by the database's clock; return its name."""
    for ms in (50, 250, 1000):  # a busy machine may need longer than the first moment to place it
        until = time_in(owner, ms)
        placed = api.answer(a_hold(wallet, units, until=until))
        if placed.code == "OK":
            break
    assert wait_until(lambda: time_in(owner, 0).ToNanoseconds() >= until.ToNanoseconds(), timeout_s=30)
    return pb.PlaceHoldResponse.FromString(placed.body).hold.name
