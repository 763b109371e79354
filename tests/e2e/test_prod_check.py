"""``make prod-check``: a whole production on this machine, and that the check can fail."""

import pytest

from tests.prod_check.__main__ import main


def test_a_production_moves_and_pays_out_money_over_tls(capsys: pytest.CaptureFixture[str]) -> None:
    """Every step holds."""

    code = main([])
    output = capsys.readouterr().out

    assert (code, "✗" in output) == (0, False), output
    assert output.count("✓") == 10, output
    assert "The production holds." in output


def test_the_check_fails_where_a_production_lacks_something(capsys: pytest.CaptureFixture[str]) -> None:
    """A server without authentication does not start, and is named."""

    code = main(["--without", "WALLET_CALLERS"])
    output = capsys.readouterr().out

    assert code == 1, output
    assert "✗ the server, by TLS" in output
    assert "WALLET_MODE is production, but WALLET_CALLERS names no caller" in output
