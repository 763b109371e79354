"""One step as a call over gRPC, and its answer as the journal keeps it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.storm.journal import Call, Done
from tests.storm.plan import FAR_S, Step, Verb
from wallet_client import Amount, WalletClient
from walletctl import typed

# What an answer is about: of the fields that it has, the first of these.
_RESOURCES = ("transaction", "withdrawal", "scheduled_deposit", "hold")


def call_of(caller: int, step: Step, about: str) -> Call:
    """Return a step as a call. Its time counts from now, and stays as it is however often it is repeated.

    Times are whole seconds, so that many orders are due at once.
    """
    delay_s = step.delay_s
    if step.verb is Verb.PLACE_HOLD and delay_s is None:
        delay_s = FAR_S
    return Call(
        caller=caller,
        step=step,
        about=about,
        time=_whole(typed.now() + timedelta(seconds=delay_s)) if delay_s is not None else None,
    )


def _whole(time: datetime) -> datetime:
    return (time + timedelta(seconds=1)).replace(microsecond=0)


def call_service(client: WalletClient, call: Call) -> Done:
    """Make a call with its own request id; raise ``CallError``."""
    answer = _VERBS[call.verb](client, call)
    made = next(getattr(answer, field) for field in _RESOURCES if field in answer.DESCRIPTOR.fields_by_name)
    entries = getattr(made, "entries", ())
    return Done(
        name=made.name,
        amount=made.amount.minor_units,
        legs=tuple((entry.wallet, entry.amount.minor_units) for entry in entries),
        replayed=answer.replayed,
    )


def look(client: WalletClient, done: Done) -> None:
    """Read back what was made; raise ``CallError`` where it is not there."""
    readers: Mapping[str, Callable[[str], object]] = {
        "transactions": client.get_transaction,
        "withdrawals": client.get_withdrawal,
        "scheduledDeposits": client.get_scheduled_deposit,
        "holds": client.get_hold,
    }
    readers[done.name.partition("/")[0]](done.name)


def _some(call: Call) -> Amount | None:
    return Amount(call.step.currency, call.step.amount) if call.step.amount is not None else None


def _amount(call: Call) -> Amount:
    return Amount(call.step.currency, call.step.amount or 0)


def _deposit(client: WalletClient, call: Call) -> object:
    return client.deposit(call.wallet, _amount(call), request_id=call.step.request_id)


def _transfer(client: WalletClient, call: Call) -> object:
    return client.transfer(call.wallet, call.other, _amount(call), request_id=call.step.request_id)


def _reverse(client: WalletClient, call: Call) -> object:
    return client.reverse_transaction(call.about, amount=_some(call), request_id=call.step.request_id)


def _place_hold(client: WalletClient, call: Call) -> object:
    return client.place_hold(call.wallet, _amount(call), call.time or typed.now(), request_id=call.step.request_id)


def _capture_hold(client: WalletClient, call: Call) -> object:
    return client.capture_hold(
        call.about, call.other, amount=_some(call), final=call.step.flag, request_id=call.step.request_id
    )


def _void_hold(client: WalletClient, call: Call) -> object:
    return client.void_hold(call.about, request_id=call.step.request_id)


def _withdraw(client: WalletClient, call: Call) -> object:
    return client.schedule_withdrawal(
        call.wallet,
        _amount(call),
        execute_time=call.time,
        reserve=call.step.flag,
        bank_account=f"account-{call.caller}",
        request_id=call.step.request_id,
    )


def _cancel_withdrawal(client: WalletClient, call: Call) -> object:
    return client.cancel_withdrawal(call.about, request_id=call.step.request_id)


def _schedule_deposit(client: WalletClient, call: Call) -> object:
    return client.schedule_deposit(
        call.wallet,
        _amount(call),
        execute_time=call.time,
        collect=call.step.flag,
        bank_account=f"account-{call.caller}",
        request_id=call.step.request_id,
    )


def _cancel_deposit(client: WalletClient, call: Call) -> object:
    return client.cancel_scheduled_deposit(call.about, request_id=call.step.request_id)


_VERBS: Mapping[Verb, Callable[[WalletClient, Call], Any]] = {
    Verb.DEPOSIT: _deposit,
    Verb.TRANSFER: _transfer,
    Verb.PLACE_HOLD: _place_hold,
    Verb.CAPTURE_HOLD: _capture_hold,
    Verb.VOID_HOLD: _void_hold,
    Verb.REVERSE: _reverse,
    Verb.WITHDRAW: _withdraw,
    Verb.CANCEL_WITHDRAWAL: _cancel_withdrawal,
    Verb.SCHEDULE_DEPOSIT: _schedule_deposit,
    Verb.CANCEL_DEPOSIT: _cancel_deposit,
}
