"""``validate_only`` returns what the real call would return, to the last number, and leaves nothing: verb by verb."""

import re
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.model.case import Case
from tests.model.cases import CASES
from tests.model.product_facts import by_its_use_case, facts_of
from tests.model.records import Facts
from tests.model.refusal_ledger import RefusalLedger
from tests.support.callers import everything
from wallet_core.domain.commands.webhooks.change_webhook import ChangeWebhook
from wallet_core.domain.commands.webhooks.create_webhook import CreateWebhook
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.errors import Refusal
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.descriptors import CALLS
from wallet_grpc.errors.catalogue import CATALOGUE, Outcome

PROTOS = Path(__file__).resolve().parents[2] / "protos" / "wallet" / "v1"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with the usual most that one transaction may be."""
    return settings.replaced(amount_max=10**15)


@pytest.fixture
def ledger(app: App, owner: psycopg.Connection) -> RefusalLedger:
    """Return a stage that has everything."""
    return RefusalLedger.set_up(app, owner)


def test_validation_is_refused_as_the_real_call_is(ledger: RefusalLedger) -> None:
    """The same class and fields; the one leaves nothing at all, the other its record where the refusal is final."""

    for verb, cases in CASES.items():
        for case in cases:
            if case.refused is not None:
                _assert_refused_alike(ledger, replace(case, name=f"{verb} {case.name}"))


@pytest.mark.parametrize("verb", CASES)
def test_validation_returns_what_the_real_call_returns(ledger: RefusalLedger, verb: str) -> None:
    """The same numbers, and nothing changes, the request id stays free.

    Once it is used, both return the first result.
    """

    for case in CASES[verb]:
        if case.refused is None:
            _assert_done_alike(ledger, case)


@pytest.mark.parametrize("verb", CASES)
def test_every_refusal_that_a_verb_documents_is_among_the_cases(verb: str) -> None:
    """As listed at the call.

    Of fields, those that only the wire can get wrong are refused before the core is called.
    """

    documented = _documented(verb)
    covered = {CATALOGUE[one.refused].reason_name for one in CASES[verb] if one.refused is not None}

    assert covered - documented == set()
    assert documented - covered <= {"INVALID_FIELDS"}


def test_every_call_that_changes_something_is_among_the_verbs() -> None:
    """Or the other tests would not see all of them."""

    assert set(CASES) == {call.path.rpartition("/")[2] for call in CALLS.values() if not call.reads}


# Steps.


def _assert_refused_alike(ledger: RefusalLedger, case: Case) -> None:
    command = case.command(ledger)
    name = case.name
    before = everything(ledger.owner)

    tried = _refusal(ledger, replace(command, validate_only=True))
    assert everything(ledger.owner) == before, name
    real = _refusal(ledger, command)
    after = everything(ledger.owner)
    copied = _refusal(ledger, command)
    tried_again = _refusal(ledger, replace(command, validate_only=True))

    assert type(real) is case.refused, name
    assert [type(one) for one in (tried, copied, tried_again)] == [type(real)] * 3, name
    assert [one.fields() for one in (tried, copied, tried_again)] == [real.fields()] * 3, name
    final = CATALOGUE[type(real)].outcome is Outcome.NOT_DONE
    assert {name for name in after if after[name] != before[name]} == ({"requests"} if final else set()), name
    assert everything(ledger.owner) == after, name


def _assert_done_alike(ledger: RefusalLedger, case: Case) -> None:
    command = case.command(ledger)
    name = case.name
    before = everything(ledger.owner)

    tried = _facts(ledger, replace(command, validate_only=True))
    tried_twice = _facts(ledger, replace(command, validate_only=True))
    assert everything(ledger.owner) == before, name
    real = _facts(ledger, command)
    after = everything(ledger.owner)
    repeated = _facts(ledger, replace(command, validate_only=True))

    assert real["replayed"] is False, name
    assert tried == tried_twice == real, name
    # A change of a webhook is no event: nothing has happened to money.
    written = {"requests"} if isinstance(command, (CreateWebhook, ChangeWebhook)) else {"requests", "outbox"}
    assert {name for name in after if after[name] != before[name]} >= written, name
    assert repeated == real | {"replayed": True}, name
    assert everything(ledger.owner) == after, name


def _refusal(ledger: RefusalLedger, command: Command) -> Refusal:
    with pytest.raises(Refusal) as caught:
        by_its_use_case(ledger.app, command)
    return caught.value


def _facts(ledger: RefusalLedger, command: Command) -> Facts:
    return facts_of(by_its_use_case(ledger.app, command))


def _documented(verb: str) -> set[str]:
    """Return the reasons that a call's comment lists under *Errors*; a batch's atomic ones, and those of its items."""
    texts = [proto.read_text() for proto in PROTOS.glob("*_service.proto")]
    (comment,) = [found for text in texts for found in re.findall(rf"((?:  //.*\n)+)  rpc {verb}\(", text)]
    errors = comment.partition("// Errors")[2].partition("BATCH_MODE_ITEM")[0]
    reasons = set(re.findall(r"`([A-Z_]+)`", errors)) - {"BATCH_MODE_ATOMIC"}
    return reasons | _documented("Transfer") if verb == "BatchTransfer" else reasons
