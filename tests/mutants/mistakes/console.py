"""Mistakes in the console."""

from tests.mutants.change import Change
from tests.mutants.mistake import Mistake

CONSOLE = (
    Mistake(
        "the console takes the forms of other pages",
        (
            Change(
                "wallet_console/forms.py:_read",
                'not visit.console.sessions.is_own_form(visit.session_id, form.pop("csrf", ""))',
                'form.pop("csrf", "") is None',
            ),
        ),
        "tests/console/test_changes.py",
    ),
    Mistake(
        "the console changes something before it was confirmed",
        (
            Change(
                "wallet_console/actions.py:Call.options",
                '{"request_id": self.request_id, "validate_only": self.validate_only}',
                '{"request_id": self.request_id, "validate_only": False}',
            ),
        ),
        "tests/console/test_changes.py",
    ),
    Mistake(
        "an open page learns of what others do",
        (Change("wallet_console/live.py:Hub._watch", "page.shows(event)", "bool(event.number)"),),
        "tests/console/test_live.py",
    ),
    Mistake(
        "the console takes a sign-in of another attempt",
        (
            Change(
                "wallet_console/oidc.py:Provider._check",
                'not secrets.compare_digest(str(claims["nonce"]).encode(), attempt.nonce.encode())',
                'not claims["nonce"]',
            ),
        ),
        "tests/console/test_login.py",
    ),
)
