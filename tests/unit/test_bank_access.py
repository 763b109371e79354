"""How the bank knows us, and we the bank: by https, a bearer token and certificates, all of which change as it runs."""

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import trustme

from bank_stub.__main__ import main as bank_stub
from bank_stub.security import Security
from bank_stub.server import BankServer, running_bank
from tests.support.raw_bank import answering, http_200
from wallet_core.domain.model.bank import AnswerKind, Payment, StatusKind
from wallet_core.domain.model.money import Money
from wallet_core.gateways.bank import HttpBank
from wallet_core.gateways.bank_access import BankAccessUnusable, BankCredentials

EVERYWHERE = "0.0.0.0"  # noqa: S104  # what must not be listened on
PAYMENT = Payment(key="wd-1", amount=Money("USD", 1005), account="DE02", owner="Ada")
TOKEN = "a-token-of-the-bank"


class Files:
    """What bank and gateway read."""

    def __init__(self, folder: Path) -> None:
        self.ca, self.certificate, self.key, self.ours, self.our_key, self.token = (
            folder / name for name in ("ca.pem", "bank.pem", "bank-key.pem", "ours.pem", "ours-key.pem", "token")
        )
        self.authority = trustme.CA()
        self.renew()
        self.token.write_text(f"{TOKEN}\n")

    def renew(self, authority: trustme.CA | None = None) -> None:
        """Write new certificates, by another authority where one is given."""
        self.authority = authority or self.authority
        self.authority.cert_pem.write_to_path(self.ca)
        for issued, certificate, key in (
            (self.authority.issue_cert("127.0.0.1"), self.certificate, self.key),
            (self.authority.issue_cert("wallet.internal"), self.ours, self.our_key),
        ):
            issued.cert_chain_pems[0].write_to_path(certificate)
            issued.private_key_pem.write_to_path(key)

    def bank(self, *, client_ca: Path | None = None) -> AbstractContextManager[BankServer]:
        """Run a bank by https that wants the token, and certificates where an authority is given."""
        security = Security(certificate=self.certificate, key=self.key, client_ca=client_ca, token_file=self.token)
        return running_bank(fail_rate=0.0, security=security)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return the files."""
    return Files(tmp_path)


@pytest.fixture
def bank(files: Files) -> Iterator[BankServer]:
    """Run a bank by https that wants the token."""
    with files.bank() as bank:
        yield bank


def gateway(bank: BankServer, credentials: BankCredentials) -> HttpBank:
    """Return the gateway to a bank."""
    return HttpBank(url=bank.url, deadline_s=10.0, answer_max_bytes=65536, credentials=credentials)


def test_a_bank_that_requires_https_and_a_token_is_paid_queried_and_reconciled(bank: BankServer, files: Files) -> None:
    """Every call brings it."""

    known = gateway(bank, BankCredentials(token_file=files.token, ca=files.ca))

    assert bank.url.startswith("https://")
    assert known.pay(PAYMENT).kind is AnswerKind.ACCEPTED
    assert known.status(PAYMENT).kind is StatusKind.EXECUTED
    page = known.ledger(after=0, limit=10)
    assert page is not None
    assert [line.key for line in page.lines] == [PAYMENT.key]


@pytest.mark.parametrize("token", [None, "another"])
def test_without_the_right_token_nothing_is_paid(bank: BankServer, files: Files, token: str | None) -> None:
    """The bank's 401 is a call that it did not take; its body is ignored."""

    stranger = gateway(bank, BankCredentials(token=token, ca=files.ca))

    answer = stranger.pay(PAYMENT)
    assert (answer.kind, "401" in answer.detail) == (AnswerKind.NOT_SENT, True)
    assert stranger.status(PAYMENT).kind is StatusKind.SILENT
    assert stranger.ledger(after=0, limit=10) is None
    assert gateway(bank, BankCredentials(token=TOKEN, ca=files.ca)).status(PAYMENT).kind is StatusKind.NOT_FOUND


def test_a_bank_with_an_untrusted_certificate_receives_nothing(bank: BankServer, files: Files, tmp_path: Path) -> None:
    """Neither by another authority nor, without one, by those that this machine trusts."""

    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    for ca in (other, None):
        assert gateway(bank, BankCredentials(token=TOKEN, ca=ca)).pay(PAYMENT).kind is AnswerKind.NOT_SENT
    assert gateway(bank, BankCredentials(token=TOKEN, ca=files.ca)).status(PAYMENT).kind is StatusKind.NOT_FOUND


def test_a_new_token_is_sent_from_the_next_call_on(bank: BankServer, files: Files, tmp_path: Path) -> None:
    """While the file is not there, or holds none, the last one is used."""

    ours = tmp_path / "our-token"
    ours.write_text(TOKEN)
    known = gateway(bank, BankCredentials(token_file=ours, ca=files.ca))
    assert known.status(PAYMENT).kind is StatusKind.NOT_FOUND
    ours.unlink()
    assert known.status(PAYMENT).kind is StatusKind.NOT_FOUND
    ours.write_text("\n")
    assert known.status(PAYMENT).kind is StatusKind.NOT_FOUND

    files.token.write_text("tomorrow")
    assert known.pay(PAYMENT).kind is AnswerKind.NOT_SENT
    ours.write_text("tomorrow")
    assert known.pay(PAYMENT).kind is AnswerKind.ACCEPTED


def test_our_certificate_is_shown_and_a_new_one_is_used_without_a_restart(files: Files) -> None:
    """Also where another authority signs both sides; without one the bank does nothing."""

    known = BankCredentials(token=TOKEN, ca=files.ca, certificate=files.ours, key=files.our_key)
    with files.bank(client_ca=files.ca) as bank:
        assert gateway(bank, BankCredentials(token=TOKEN, ca=files.ca)).pay(PAYMENT).kind is not AnswerKind.ACCEPTED
        assert gateway(bank, known).status(PAYMENT).kind is StatusKind.NOT_FOUND
    files.renew(trustme.CA())
    with files.bank(client_ca=files.ca) as bank:
        assert gateway(bank, known).pay(PAYMENT).kind is AnswerKind.ACCEPTED


@pytest.mark.parametrize("text", ["", " \n", "two words", "Größe", "a\x00b"])
def test_a_file_without_a_token_sends_nothing_and_is_named(bank: BankServer, files: Files, text: str) -> None:
    """What it holds is not repeated."""

    files.token.write_text(text)
    with pytest.raises(BankAccessUnusable) as refused:
        BankCredentials(token_file=files.token).now()
    answer = gateway(bank, BankCredentials(token_file=files.token, ca=files.ca)).pay(PAYMENT)

    assert str(refused.value) == f"{files.token}: holds no token: one word of printable ASCII"
    assert (answer.kind, answer.detail) == (AnswerKind.NOT_SENT, str(refused.value))


@pytest.mark.parametrize("wrong", ["ca", "ours", "our_key"])
@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_file_for_tls_that_cannot_be_used_is_named(files: Files, wrong: str, how: str) -> None:
    """Before anything is paid."""

    path: Path = getattr(files, wrong)
    if how == "gone":
        path.unlink()
    else:
        path.write_text("")
    with pytest.raises(BankAccessUnusable, match=path.name):
        BankCredentials(ca=files.ca, certificate=files.ours, key=files.our_key).now()


def test_a_token_that_the_bank_repeats_is_not_kept() -> None:
    """The bank's text is stored with the attempt, and shown to operators."""

    text = f'{{"data": "rejected", "status": 422, "reason": "no rights: {TOKEN}", "{TOKEN}": ["{TOKEN}"]}}'
    with answering(http_200(text.encode())) as url:
        known = HttpBank(url=url, deadline_s=10.0, answer_max_bytes=65536, credentials=BankCredentials(token=TOKEN))
        details = [known.pay(PAYMENT).detail, known.status(PAYMENT).detail]

    assert ["no rights: …" in detail for detail in details] == [True, True]
    assert [TOKEN in detail for detail in details] == [False, False]


def test_a_caller_that_shakes_no_hands_holds_up_no_other(bank: BankServer, files: Files) -> None:
    """The stub's own: a silent connection is one thread's trouble."""

    with socket.create_connection(("127.0.0.1", bank.port)):
        known = gateway(bank, BankCredentials(token=TOKEN, ca=files.ca))
        assert known.status(PAYMENT).kind is StatusKind.NOT_FOUND


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--certificate", "a"], "--certificate and --key go together"),
        (["--client-ca", "a"], "--client-ca needs --certificate and --key"),
        (["--host", EVERYWHERE], "all that reach it may give orders; give --token-file"),
        (["--certificate", "/no/such", "--key", "/no/such"], "bank stub cannot start: "),
        (
            ["--host", EVERYWHERE, "--allow-unauthenticated", "--certificate", "/no/such", "--key", "/no/such"],
            "warning: --host 0.0.0.0: all that reach it may give orders\n",
        ),
    ],
)
def test_a_stub_that_would_be_open_or_half_secured_does_not_start(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names what to provide."""

    monkeypatch.setattr("signal.pthread_sigmask", lambda *_: None)
    try:
        code: object = bank_stub([*arguments, "--port", "0"])
    except SystemExit as ended:
        code = ended.code

    assert code in {1, 2}
    assert text in capsys.readouterr().err
