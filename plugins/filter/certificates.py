"""Say of a certificate what is wrong with it, before a daemon refuses it.

Ours, since community.crypto's filters read one certificate or one key. That these fit, a chain's dates, and whether a
name is covered would be a program in Jinja, once more in each role.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)


def certificate_mistakes(pem, variable, names=(), key=True):
    """Return what is wrong with certificates in PEM, as sentences that name the variable; none if all is well.

    The first certificate is the one that a server shows. It must be valid for each of the ``names``, which are host
    names or addresses, and belong to the private key that is in the text too, unless ``key`` is false. It and all
    others must be valid today. No sentence holds any part of the key.
    """
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        return [f"{variable} must hold a certificate in PEM: {error}."]
    mistakes = [f"{variable} {mistake}." for one in certificates for mistake in date_mistakes(one)]
    if missing := [name for name in names if not is_for(certificates[0], name)]:
        known = ", ".join(map(str, names_of(certificates[0]))) or "no name"
        mistakes.append(f"{variable} must be valid for {', '.join(missing)}, and is for {known}.")
    if key:
        mistakes += [f"{variable} {mistake}." for mistake in key_mistakes(certificates[0], pem)]
    return mistakes


def date_mistakes(certificate):
    """Yield why a certificate is not valid today."""
    now, subject = datetime.now(UTC), certificate.subject.rfc4514_string()
    if certificate.not_valid_after_utc < now:
        yield f"has expired: {subject} was valid until {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if certificate.not_valid_before_utc > now:
        yield f"is not valid yet: {subject} will be from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"


def names_of(certificate):
    """Return the host names and the addresses that a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName) + names.get_values_for_type(x509.IPAddress)


def is_for(certificate, name):
    """Whether a certificate is valid for a name, as RFC 6125 says: a wildcard stands for one label."""
    try:
        return ipaddress.ip_address(name) in names_of(certificate)
    except ValueError:
        name = name.lower()
    known = {one.lower() for one in names_of(certificate) if isinstance(one, str)}
    return name in known or f"*.{name.partition('.')[2]}" in known


def key_mistakes(certificate, pem):
    """Yield why the private key in the text is not the certificate's."""
    found = KEY.search(pem)
    if not found:
        yield "must hold the certificate's private key in PEM too"
        return
    try:
        key = load_pem_private_key(found[0].encode(), password=None)
    except TypeError:
        yield "has a private key with a passphrase, which no daemon knows"
    except (ValueError, UnsupportedAlgorithm):
        yield "has a private key that can't be read"
    else:
        form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
            yield "has a private key that is not the certificate's"


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Return the filters by their names."""
        return {"certificate_mistakes": certificate_mistakes}
