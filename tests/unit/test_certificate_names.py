"""The names by which a certificate identifies a caller."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wallet_grpc.security.tls import names_in

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def certificate(*names: x509.GeneralName) -> bytes:
    """Return a certificate with these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    nobody = x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(nobody)
        .issuer_name(nobody)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOON)
        .not_valid_after(NOON + timedelta(days=1))
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("names", "known_by"),
    [
        ([], set()),
        ([x509.DNSName("shop.internal")], {"shop.internal"}),
        ([x509.UniformResourceIdentifier("spiffe://prod/shop")], {"spiffe://prod/shop"}),
        ([x509.DNSName("a"), x509.DNSName("b"), x509.UniformResourceIdentifier("x://c")], {"a", "b", "x://c"}),
        # A name that anyone may have chosen, or of a place.
        ([x509.RFC822Name("shop.internal")], set()),
        ([x509.RFC822Name("ops@shop.internal")], set()),
        ([x509.IPAddress(IPv4Address("10.0.0.9"))], set()),
        ([x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))], set()),
        # One kind does not pass for the other, and nothing is cut.
        ([x509.UniformResourceIdentifier("shop.internal")], set()),
        ([x509.DNSName("spiffe://prod/shop")], set()),
        ([x509.DNSName("shop.internal\0.evil.example")], {"shop.internal\0.evil.example"}),
    ],
)
def test_only_dns_names_and_whole_uris_name_a_caller(names: list[x509.GeneralName], known_by: set[str]) -> None:
    """Each as it is in the certificate."""

    assert names_in(certificate(*names)) == known_by


def test_an_invalid_certificate_names_no_caller() -> None:
    """GRPC has looked at it before; still nothing is made of it."""

    assert names_in(b"nonsense") == frozenset()
