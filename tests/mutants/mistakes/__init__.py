"""All mistakes, by the part of the product that they are made in."""

from tests.mutants.mistakes.console import CONSOLE
from tests.mutants.mistakes.edge import EDGE
from tests.mutants.mistakes.events import EVENTS
from tests.mutants.mistakes.ledger import LEDGER
from tests.mutants.mistakes.payments import PAYMENTS
from tests.mutants.mistakes.storage import STORAGE
from tests.mutants.mistakes.webhooks import WEBHOOKS

MISTAKES = (*PAYMENTS, *EVENTS, *STORAGE, *EDGE, *CONSOLE, *LEDGER, *WEBHOOKS)
