"""Say whether a value can be what a daemon's setting takes, such as an address, a name or a URL.

Ours, since Ansible's own tests of addresses need a library and take numbers for addresses, and a regex for each would
stand in every role. What is no text is none of these, whatever it looks like. The first lines of the docstrings, from
"Whether it is" on, are what the filter ``mistakes`` tells a person.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from cryptography import x509

LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}([.]{LABEL})*")
LOCAL_PART = re.compile(r"[A-Za-z0-9_+-]+([.][A-Za-z0-9_+-]+)*")


def parses(parse, value):
    """Whether the value is a text that the function can read."""
    try:
        return isinstance(value, str) and bool(parse(value))
    except (ValueError, re.error):
        return False


def entry_name(value):
    """Whether it is a name of letters, digits, '_', '.' and '-'."""
    return parses(re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*").fullmatch, value)


def title(value):
    """Whether it is a name of letters, digits, spaces, '_', '.' and '-'."""
    return parses(re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*").fullmatch, value)


def unit_name(value):
    """Whether it is the name of a systemd unit."""
    return parses(re.compile(r"[A-Za-z0-9:_.@-]+").fullmatch, value)


def login_name(value):
    """Whether it is a name without spaces, quotes and colons."""
    return parses(re.compile(r"[^\s:\"]+").fullmatch, value)


def ip_address(value):
    """Whether it is an address of IPv4 or IPv6."""
    return parses(ipaddress.ip_address, value)


def network(value):
    """Whether it is an address or a network of IPv4 or IPv6."""
    return parses(ipaddress.ip_interface, value)


def host_name(value):
    """Whether it is a host name."""
    return parses(HOST_NAME.fullmatch, value)


def host(value):
    """Whether it is a host name or an address."""
    return host_name(value) or ip_address(value)


def port(value):
    """Whether it is a port, from 1 to 65535."""
    return within(value, 1, 65535)


def server(value):
    """Whether it is a host and a port, such as web1:80 or [fd00::1]:80."""
    name, _, number = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    known = ip_address(name[1:-1]) if name.startswith("[") and name.endswith("]") else host_name(name)
    return known and number.isdecimal() and port(int(number))


def http_url(value, schemes=("http", "https")):
    """Whether it is an {} URL, without a login and what would need quotes."""

    def parse(text):
        parts = urlsplit(text)
        known = parts.scheme in schemes and parts.hostname and "@" not in parts.netloc and parts.port != 0
        return known and not re.search(r"[\s\"'\\{}<>$%]", text)

    return parses(parse, value)


def mail_address(value):
    """Whether it is a mail address, without what would need quotes."""
    local, _, domain = value.rpartition("@") if isinstance(value, str) else ("", "", "")
    return parses(LOCAL_PART.fullmatch, local) and host_name(domain)


def url_path(value):
    """Whether it is the path of a URL, without what would need quotes."""
    return parses(re.compile(r"/[A-Za-z0-9._~:/?#@&+,=%-]*").fullmatch, value)


def quotable(value):
    """Whether it is a text of one line without single quotes and backslashes."""
    return parses(re.compile(r"[^'\n\\]+").fullmatch, value)


def one_line(value):
    """Whether it is a text of one line."""
    return isinstance(value, str) and "\n" not in value


def regexp(value):
    """Whether it is a regular expression."""
    return parses(lambda text: re.compile(text).pattern, value)


def command(value):
    """Whether it is a command line that begins with the path of a program."""
    return parses(re.compile(r"/\S.*").fullmatch, value)


def certificates(value):
    """Whether it is one or more certificates in PEM."""
    return parses(lambda text: x509.load_pem_x509_certificates(text.encode()), value)


def secret(value, least):
    """Whether it is a text of {} to 72 bytes, of one line that neither begins nor ends with a space."""
    return parses(re.compile(r"\S(.*\S)?").fullmatch, value) and least <= len(value.encode()) <= 72


def within(value, low, high):
    """Whether it is a whole number from {} to {}."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def rising(value):
    """Whether it is two numbers from 0 on, warning and critical, of which critical is more."""
    return 0 <= float(value["warning"]) < float(value["critical"])


def falling(value):
    """Whether it is two percentages, warning and critical, of which critical is less."""
    return 0 <= float(value["critical"]) < float(value["warning"]) <= 100


def one_of(value, known):
    """Whether it is one of {}."""
    return value in known


def other_than(value, known):
    """Whether it is none of {}."""
    return value not in known


def some_of(value, known):
    """Whether it is a list, each of {}."""
    return isinstance(value, list) and all(element in known for element in value)


def list_of(value, test):
    """Whether it is a list, each element {}."""
    return isinstance(value, list) and all(TESTS[test](element) for element in value)


TESTS = {
    test.__name__: test
    for test in (
        certificates,
        command,
        entry_name,
        falling,
        host,
        host_name,
        http_url,
        ip_address,
        list_of,
        login_name,
        mail_address,
        network,
        one_line,
        one_of,
        other_than,
        port,
        quotable,
        regexp,
        rising,
        secret,
        server,
        some_of,
        title,
        unit_name,
        url_path,
        within,
    )
}


class TestModule:
    """What Ansible loads."""

    def tests(self):
        """Return the tests by their names."""
        return TESTS
