"""``validate_only`` is told what the real call would be told, to the last number, and leaves nothing: verb by verb."""

import re
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.support.callers import everything
from tests.support.model_books import Facts
from tests.support.situations import SITUATIONS, Situation
from tests.support.stage import Stage
from tests.support.told_facts import by_its_use_case, facts_of
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
def stage(app: App, owner: psycopg.Connection) -> Stage:
    """Return a stage that has everything."""
    return Stage.set_up(app, owner)


def test_who_only_validates_is_refused_as_the_real_call_is(stage: Stage) -> None:
    """The same class and fields; the one leaves nothing at all, the other its record where the refusal is final."""

    for verb, situations in SITUATIONS.items():
        for situation in situations:
            if situation.refused is not None:
                _refused_alike(stage, replace(situation, name=f"{verb} {situation.name}"))


@pytest.mark.parametrize("verb", SITUATIONS)
def test_who_only_validates_is_told_what_the_real_call_is_told(stage: Stage, verb: str) -> None:
    """The same numbers, and nothing changes, the request id is not spent; once it is, both are told of the first."""

    for situation in SITUATIONS[verb]:
        if situation.refused is None:
            _done_alike(stage, situation)


@pytest.mark.parametrize("verb", SITUATIONS)
def test_every_refusal_that_a_verb_documents_is_among_the_situations(verb: str) -> None:
    """As listed at the call; of fields, those that only the wire can get wrong are refused before the core is asked."""

    documented = _documented(verb)
    covered = {CATALOGUE[one.refused].reason_name for one in SITUATIONS[verb] if one.refused is not None}

    assert covered - documented == set()
    assert documented - covered <= {"INVALID_FIELDS"}


def test_every_call_that_changes_something_is_among_the_verbs() -> None:
    """Or the other tests would not see all of them."""

    assert set(SITUATIONS) == {call.path.rpartition("/")[2] for call in CALLS.values() if not call.reads}


# Steps.


def _refused_alike(stage: Stage, situation: Situation) -> None:
    command = situation.ask(stage)
    told = situation.name
    before = everything(stage.owner)

    tried = _refusal(stage, replace(command, validate_only=True))
    assert everything(stage.owner) == before, told
    real = _refusal(stage, command)
    after = everything(stage.owner)
    again = _refusal(stage, command)
    tried_again = _refusal(stage, replace(command, validate_only=True))

    assert type(real) is situation.refused, told
    assert [type(one) for one in (tried, again, tried_again)] == [type(real)] * 3, told
    assert [one.fields() for one in (tried, again, tried_again)] == [real.fields()] * 3, told
    final = CATALOGUE[type(real)].outcome is Outcome.NOT_DONE
    assert {name for name in after if after[name] != before[name]} == ({"requests"} if final else set()), told
    assert everything(stage.owner) == after, told


def _done_alike(stage: Stage, situation: Situation) -> None:
    command = situation.ask(stage)
    told = situation.name
    before = everything(stage.owner)

    tried = _facts(stage, replace(command, validate_only=True))
    tried_twice = _facts(stage, replace(command, validate_only=True))
    assert everything(stage.owner) == before, told
    real = _facts(stage, command)
    after = everything(stage.owner)
    repeated = _facts(stage, replace(command, validate_only=True))

    assert real["replayed"] is False, told
    assert tried == tried_twice == real, told
    assert {name for name in after if after[name] != before[name]} >= {"requests", "outbox"}, told
    assert repeated == real | {"replayed": True}, told
    assert everything(stage.owner) == after, told


def _refusal(stage: Stage, command: Command) -> Refusal:
    with pytest.raises(Refusal) as caught:
        by_its_use_case(stage.app, command)
    return caught.value


def _facts(stage: Stage, command: Command) -> Facts:
    return facts_of(by_its_use_case(stage.app, command))


def _documented(verb: str) -> set[str]:
    """Return the reasons that a call's comment lists under *Errors*; a batch's atomic ones, and those of its items."""
    texts = [proto.read_text() for proto in PROTOS.glob("*_service.proto")]
    (comment,) = [found for text in texts for found in re.findall(rf"((?:  //.*\n)+)  rpc {verb}\(", text)]
    errors = comment.partition("// Errors")[2].partition("BATCH_MODE_ITEM")[0]
    reasons = set(re.findall(r"`([A-Z_]+)`", errors)) - {"BATCH_MODE_ATOMIC"}
    return reasons | _documented("Transfer") if verb == "BatchTransfer" else reasons
