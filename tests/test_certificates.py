"""What is said of a certificate before a daemon gets it."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from conftest import PROJECT, load
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

mistakes = load(PROJECT / "plugins/filter/certificates.py").certificate_mistakes
KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]


def certificate(start=-1, end=1, names=("famigo.com", "*.famigo.com"), address="10.0.0.1"):
    """Return a certificate, valid from and until so many days from now."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "famigo")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).serial_number(1)
    builder = builder.public_key(KEYS[0].public_key())
    now = datetime.now(UTC)
    builder = builder.not_valid_before(now + timedelta(start)).not_valid_after(now + timedelta(end))
    alternatives = [*map(x509.DNSName, names), x509.IPAddress(ip_address(address))]
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(KEYS[0], hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def key(number=0, password=None):
    """Return a private key in PEM."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return KEYS[number].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


@pytest.mark.parametrize("name", ["famigo.com", "www.famigo.com", "WWW.Famigo.com", "10.0.0.1"])
def test_a_good_one_is_good_whichever_comes_first(name):
    assert mistakes(certificate() + key(), "it", [name]) == []
    assert mistakes(key() + certificate(), "it", [name]) == []
    assert mistakes(certificate(), "it", [name], key=False) == []


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (key(), "it must hold a certificate in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it must hold a certificate in PEM"),
        (certificate(-9, -2) + key(), f"CN=famigo was valid until {datetime.now(UTC) - timedelta(2):%Y-%m-%d}"),
        (certificate(2, 9) + key(), f"CN=famigo will be from {datetime.now(UTC) + timedelta(2):%Y-%m-%d}"),
        (certificate() + key() + certificate(-9, -2), "it has expired"),
        (certificate() + key(1), "it has a private key that is not the certificate's"),
        (certificate() + key(password=b"x"), "it has a private key with a passphrase"),
        (certificate() + key().replace("M", "N"), "it has a private key that can't be read"),
        (certificate(), "it must hold the certificate's private key in PEM too"),
        (
            certificate(names=["a.b.famigo.com"]) + key(),
            "must be valid for famigo.com, and is for a.b.famigo.com, 10.0",
        ),
    ],
)
def test_what_is_wrong_is_named(pem, words):
    said = mistakes(pem, "it", ["famigo.com"])
    assert len(said) == 1
    assert words in said[0]


def test_a_wildcard_is_one_label():
    assert mistakes(certificate() + key(), "it", ["a.b.famigo.com"])
