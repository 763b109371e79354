"""A wallet as it was: the sum of the entries before any instant."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import wallet_service_pb2 as pb

from tests.support.api import Api, meanwhile
from tests.support.long_history import BEGAN, history, write_history
from tests.support.requests import money, stamp
from tests.support.sample_ledger import LATER
from tests.support.toolchain import often

US = timedelta(microseconds=1)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def wallet_at(api: Api, as_of: datetime, wallet: str = "alice") -> pb.Wallet:
    """Return a wallet as it was."""
    found: pb.Wallet = api.ok(pb.GetWalletRequest(name=f"wallets/{wallet}", as_of=stamp(as_of))).wallet
    return found


def test_a_balance_of_the_past_is_a_replay_of_the_entries(api: Api, owner: psycopg.Connection) -> None:
    """Right before, at and after the time of any entry, of which three share each; of any wallet."""

    api.open_all("alice", "bob")
    write_history(owner, 1003)
    written = {wallet: history(owner, wallet) for wallet in ("alice", "bob", "system:external:USD")}

    @settings(max_examples=often(40), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(written)), st.integers(-2, 672) | st.sampled_from([-(10**15), 10**13]))
    def is_the_sum(wallet: str, offset: int) -> None:
        as_of = BEGAN + offset * US
        replayed = sum(line.amount for line in written[wallet] if line.time < as_of)
        assert wallet_at(api, as_of, wallet).balance == money(replayed)

    is_the_sum()


def test_all_but_the_balance_is_current_and_held_money_is_not_shown(api: Api) -> None:
    """Held and available are known of now only; before the wallet existed there was nothing in it."""

    api.open_all("alice", "bob", labels={"k": "v"})
    first = api.deposit("alice", 100)
    second = api.transfer("alice", "bob", 30)
    hold = hold_pb.PlaceHoldRequest(
        wallet="wallets/alice", amount=money(5), expire_time=stamp(LATER), request_id=str(uuid4())
    )
    api.ok(hold)
    api.ok(pb.FreezeWalletRequest(name="wallets/alice", request_id=str(uuid4())))
    now = api.ok(pb.GetWalletRequest(name="wallets/alice")).wallet
    begun, moved = (one.execute_time.ToDatetime(tzinfo=UTC) for one in (first, second))

    instants = {FIRST: 0, begun - US: 0, begun: 0, begun + US: 100, moved: 100, moved + US: 70}
    for as_of, balance in instants.items():
        was = wallet_at(api, as_of)
        assert was.balance == money(balance), as_of
        assert (was.HasField("held"), was.HasField("available")) == (False, False)
        present = pb.Wallet()
        present.CopyFrom(now)
        for field in ("balance", "held", "available"):
            was.ClearField(field)
            present.ClearField(field)
        assert was == present
    assert (now.held, now.available, now.state) == (money(5), money(65), pb.Wallet.STATE_FROZEN)


def test_the_future_is_refused_and_so_is_a_time_that_is_none(api: Api, owner: psycopg.Connection) -> None:
    """By the database's clock; years before 1 and after 9999, nanoseconds of other seconds."""

    api.open("alice")
    ((now,),) = owner.execute("SELECT clock_timestamp()").fetchall()
    wrong = [stamp(now + timedelta(seconds=30)), stamp(LAST)]
    wrong += [Timestamp(seconds=seconds) for seconds in (-62135596801, 253402300800, 2**63 - 1, -(2**63))]
    wrong += [Timestamp(seconds=1, nanos=nanos) for nanos in (-1, 10**9, 2**31 - 1, -(2**31))]

    for as_of in wrong:
        answer = api.refused(pb.GetWalletRequest(name="wallets/alice", as_of=as_of))
        assert (answer.code, answer.reason, answer.violations) == ("INVALID_ARGUMENT", "INVALID_FIELDS", ("as_of",))
    assert wallet_at(api, now).balance == money(0)
    assert api.ok(pb.GetWalletRequest(name="wallets/alice", as_of=Timestamp())).wallet.balance == money(0)


def test_of_two_faults_the_first_documented_is_reported(api: Api) -> None:
    """A time in the future is reported before a missing wallet: INVALID_FIELDS precedes RESOURCE_NOT_FOUND."""

    past = api.refused(pb.GetWalletRequest(name="wallets/nobody", as_of=stamp(BEGAN)))
    future = api.refused(pb.GetWalletRequest(name="wallets/nobody", as_of=stamp(LATER)))

    assert (past.code, past.metadata) == ("NOT_FOUND", {"resourceName": "wallets/nobody"})
    assert (future.reason, future.violations) == ("INVALID_FIELDS", ("as_of",))


def test_an_instant_between_two_microseconds_is_not_moved(api: Api) -> None:
    """Protos have nanoseconds: an entry a nanosecond before the instant is earlier."""

    api.open("alice")
    time = api.deposit("alice", 5).execute_time
    later = Timestamp(seconds=time.seconds, nanos=time.nanos + 1)

    assert api.ok(pb.GetWalletRequest(name="wallets/alice", as_of=later)).wallet.balance == money(5)


def test_the_past_does_not_change_while_money_moves(api: Api) -> None:
    """A past instant is answered the same again, and two wallets that share their money had all of it between them."""

    api.open_all("alice", "bob")
    api.deposit("alice", 1000)
    moved = [api.transfer("alice", "bob", 1).execute_time.ToDatetime(tzinfo=UTC) for _ in range(10)]

    with meanwhile(lambda: api.transfer("alice", "bob", 1)):
        for number, time in enumerate(moved):
            had = [wallet_at(api, time + US, wallet).balance.minor_units for wallet in ("alice", "bob")]
            assert had == [999 - number, number + 1]
