"""``make prod-check``: a whole production on this machine, and that the check can fail."""

import pytest

from tests.prod_check.__main__ import main


def test_a_production_moves_and_pays_out_money_over_tls(capsys: pytest.CaptureFixture[str]) -> None:
    """Every step holds."""

    code = main([])
    said = capsys.readouterr().out

    assert (code, "✗" in said) == (0, False), said
    assert said.count("✓") == 10, said
    assert "The production holds." in said


def test_the_check_fails_where_a_production_lacks_something(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that lets nobody in does not start, and is named."""

    code = main(["--without", "WALLET_CALLERS"])
    said = capsys.readouterr().out

    assert code == 1, said
    assert "✗ the server, by TLS" in said
    assert "WALLET_MODE is production, but WALLET_CALLERS names no caller" in said
