"""Every verb against a model of a few dictionaries: in any order, alone or in batches, both answer and store the same.

The model: ``records.py`` and ``ledger.py`` (what there is), ``answers.py`` (what callers may request) and
``payment_orders.py`` (what jobs do). The steps of a run: ``single_steps.py``, ``job_steps.py``, ``combined_steps.py``
and ``commission_steps.py``. Each step takes the model's answer first, and compares the product's with it.
"""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from tests.model.commission_steps import CommissionSteps
from tests.model.draws import steps
from tests.model.independent_examples import EACH_STORY_ANEW
from tests.model.records import MOST
from tests.support.database import Database
from tests.support.toolchain import often
from wallet_core.settings import Settings
from wallet_core.usecases.app import App


class AllVerbs(CommissionSteps):
    """Calls and jobs, each answered and stored as in the model."""

    @initialize(amounts=st.tuples(*[st.integers(30, 60)] * 4))
    def begin(self, amounts: tuple[int, ...]) -> None:
        """Open some wallets with something in them, all in one batch."""
        self.begin_batch(9)
        self.create_wallet("carol", 7, {})
        for name, amount in zip(("alice", "bob", "dora", "emil"), amounts, strict=True):
            self.create_wallet(name, 0, {"tier": "gold"} if name == "alice" else {})
            self.deposit([(name, amount)])

    @rule(step=steps())
    def go_on(self, step: tuple[str, dict[str, Any]]) -> None:
        """Take one step."""
        name, drawn = step
        self.resting = name == "rest"
        getattr(self, name)(**drawn)

    def teardown(self) -> None:
        """Read everything once more, and prove that the ledger is right."""
        self.resting = False
        self.post_batch()
        self.they_agree()
        self.look_at_etags()
        self.read_everything()


class Brimful(AllVerbs):
    """The same, with amounts around the largest that can be counted."""

    def amount(self, drawn: int) -> int:
        """Count from the top, or from the bottom."""
        return drawn if drawn < 20 else MOST - (60 - drawn) // 3


Parts = tuple[App, Database, psycopg.Connection, Settings]


@pytest.fixture
def parts(app: App, database: Database, owner: psycopg.Connection, settings: Settings) -> Parts:
    """Return what a run needs."""
    return app, database, owner, settings


@pytest.mark.timeout(420)  # shrinking a difference takes up to five minutes
def test_every_verb_agrees_with_the_model(parts: Parts) -> None:
    """Alone and in batches, valid and not, repeated, with jobs between them and a bank of every behaviour."""

    _assert_agreement(AllVerbs, parts, runs=often(24), always_the_same=True)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_verb_agrees_with_the_model_in_a_long_run(parts: Parts) -> None:
    """Other runs each time, and many more."""

    _assert_agreement(AllVerbs, parts, runs=1500)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_verb_agrees_with_the_model_near_64_bits(parts: Parts) -> None:
    """With wallets so full that no more can be counted."""

    _assert_agreement(Brimful, parts, runs=800)


def _assert_agreement(machine: type[AllVerbs], parts: Parts, *, runs: int, always_the_same: bool = False) -> None:
    run_state_machine_as_test(
        lambda: machine(*parts),  # type: ignore[arg-type]  # anything that makes a machine will do
        settings=hypothesis_settings(
            max_examples=runs,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            backend=EACH_STORY_ANEW,
            derandomize=always_the_same,
        ),
    )
