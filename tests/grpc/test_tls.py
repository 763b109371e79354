"""TLS: the server's identity, its callers' by their certificates, and new certificates without a restart."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.issuer import ISSUER, Issuer
from wallet_client import CallFailed, Tls, WalletClient
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.tls import CertificateUnusable
from wallet_grpc.server.process import authentication, credentials
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

SCOPES = ["wallet.write", "wallet.read"]


class Files:
    """The certificate files of a server."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key, self.ca = (folder / name for name in ("server.pem", "server-key.pem", "ca.pem"))
        self.authority = trustme.CA()
        self.renew()

    def renew(self, authority: trustme.CA | None = None, *, key_too: bool = True) -> None:
        """Write a new certificate, of another authority if wanted; the key that goes with it is written last."""
        self.authority = authority or self.authority
        issued = self.authority.issue_cert("localhost")
        self.authority.cert_pem.write_to_path(self.ca)
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        if key_too:
            issued.private_key_pem.write_to_path(self.key)

    def tls(self, name: str | None = None, authority: trustme.CA | None = None) -> Tls:
        """Return how a client of that name uses TLS, one that trusts the issuer of the server's certificate."""
        ca = self.authority.cert_pem.bytes()
        if name is None:
            return Tls(ca=ca)
        issued = (authority or self.authority).issue_cert(name)
        return Tls(ca=ca, certificate=issued.cert_chain_pems[0].bytes(), key=issued.private_key_pem.bytes())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return certificate files."""
    return Files(tmp_path)


@contextmanager
def served(app: App, settings: Settings, files: Files, **changes: Any) -> Iterator[str]:  # noqa: ANN401  # any setting
    """Serve with TLS; yield the address, by the name that the certificate is for."""
    changed = settings.replaced(**{"tls_certificate": files.certificate, "tls_key": files.key, **changes})
    with serving(app, changed, authentication(changed), credentials(changed)) as port:
        yield f"localhost:{port}"


@pytest.fixture
def target(app: App, settings: Settings, files: Files) -> Iterator[str]:
    """Serve with TLS."""
    with served(app, settings, files) as target:
        yield target


def mutual(files: Files) -> dict[str, Any]:
    """Return settings that want a certificate of each caller."""
    callers = {"shop": {"certificates": ["shop.internal"], "certificate_scopes": SCOPES, "clients": ["shop-client"]}}
    return {"tls_client_ca": files.ca, "callers": callers}


def is_reached(target: str, tls: Tls | None, timeout_s: float = 2.0) -> bool:
    """Return whether a client comes through to the service."""
    with WalletClient(target, tls=tls) as client:
        return client.is_serving(timeout_s)


def test_only_callers_with_tls_that_trust_the_certificate_connect(target: str, files: Files) -> None:
    """Nothing is sent in the clear, nor to a server with another authority's certificate."""

    assert is_reached(target, files.tls())
    assert not is_reached(target, None)
    assert not is_reached(target, Tls(ca=trustme.CA().cert_pem.bytes()))


def test_a_new_certificate_is_used_without_a_restart(target: str, files: Files) -> None:
    """Also one by another authority; open connections continue."""

    with WalletClient(target, tls=files.tls()) as standing:
        assert standing.is_serving()
        old = files.tls()
        files.renew(trustme.CA())

        assert is_reached(target, files.tls())
        assert not is_reached(target, old)
        assert standing.is_serving()


def test_half_of_a_change_changes_nothing(target: str, files: Files) -> None:
    """A certificate whose key is not there yet: the old pair is used until the new one is complete."""

    old = files.tls()
    kept = files.key.read_bytes()
    files.renew(trustme.CA(), key_too=False)
    assert is_reached(target, old)
    files.certificate.unlink()
    assert is_reached(target, old)

    files.renew()
    assert files.key.read_bytes() != kept
    assert is_reached(target, files.tls())


def test_files_that_cannot_be_used_are_named_at_start(app: App, settings: Settings, files: Files) -> None:
    """A server that failed every handshake would look as if it ran."""

    files.renew(key_too=False)
    with pytest.raises(CertificateUnusable, match=str(files.key)), served(app, settings, files):
        pass
    files.certificate.unlink()
    with pytest.raises(CertificateUnusable, match=str(files.certificate)), served(app, settings, files):
        pass


def test_a_certificate_names_the_caller_and_the_settings_its_rights(
    app: App, settings: Settings, files: Files, owner: psycopg.Connection
) -> None:
    """By its name in it.

    A client without a configured name may do nothing, one without a certificate cannot connect.
    """

    with served(app, settings, files, **mutual(files)) as target:
        with WalletClient(target, tls=files.tls("shop.internal")) as client:
            client.create_wallet("alice", "USD")
            with pytest.raises(CallFailed) as forbidden:
                list(client.list_attention())
        with WalletClient(target, tls=files.tls("nobody.internal")) as client, pytest.raises(CallFailed) as unknown:
            client.get_wallet("wallets/alice")
        assert not is_reached(target, files.tls())
        assert not is_reached(target, files.tls("shop.internal", authority=trustme.CA()))

    assert (forbidden.value.code, forbidden.value.metadata) == ("PERMISSION_DENIED", {"permission": "operations"})
    assert (unknown.value.code, unknown.value.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
    assert owner.execute("SELECT DISTINCT caller FROM requests").fetchall() == [("shop",)]


def test_a_token_takes_precedence_over_a_certificate_and_both_name_one_caller(
    app: App, settings: Settings, files: Files, tmp_path: Path
) -> None:
    """Where a token is sent it decides what may be done; a bad one is not made good by the certificate."""

    issuer = Issuer()
    issuer.add("ES256")
    keys = tmp_path / "keys.json"
    keys.write_text(issuer.key_set())
    both = {**mutual(files), "auth_keys": str(keys), "auth_issuer": ISSUER}
    request_id = "5f0c5f3e-6f3c-4e58-9a3e-0d6a2a9c7c11"
    with served(app, settings, files, **both) as target:
        tls = files.tls("shop.internal")
        with WalletClient(target, tls=tls) as client:
            first = client.create_wallet("alice", "USD", request_id=request_id)
        with WalletClient(target, tls=tls, token=issuer.token("wallet.write")) as client:
            again = client.create_wallet("alice", "USD", request_id=request_id)
            with pytest.raises(CallFailed) as forbidden:
                client.get_wallet("wallets/alice")
        with WalletClient(target, tls=tls, token="nonsense") as client, pytest.raises(CallFailed) as refused:
            client.get_wallet("wallets/alice")

    assert (first.replayed, again.replayed) == (False, True)
    assert forbidden.value.reason == "PERMISSION_MISSING"
    assert refused.value.reason == "CREDENTIALS_INVALID"


def test_the_issuer_of_callers_certificates_can_change_without_a_restart(
    app: App, settings: Settings, files: Files
) -> None:
    """No client with the old authority's certificate connects any more."""

    with served(app, settings, files, **mutual(files)) as target:
        yesterday = files.tls("shop.internal")
        assert is_reached(target, yesterday)
        files.renew(trustme.CA())

        assert wait_until(lambda: is_reached(target, files.tls("shop.internal")), timeout_s=30)
        today = files.authority.cert_pem.bytes()
        assert not is_reached(target, Tls(ca=today, certificate=yesterday.certificate, key=yesterday.key))


def test_a_key_that_grpc_cannot_use_is_refused_and_changes_nothing(
    target: str, app: App, settings: Settings, files: Files
) -> None:
    """OpenSSL takes it; every handshake would fail."""

    old = files.tls()
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = datetime.now(UTC)  # noqa: TID251  # a certificate's times
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(today).not_valid_after(today + timedelta(days=1))
    files.certificate.write_bytes(made.sign(key, None).public_bytes(Encoding.PEM))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    assert is_reached(target, old)
    with pytest.raises(CertificateUnusable, match="RSA, P-256 and P-384"), served(app, settings, files):
        pass
