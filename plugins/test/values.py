"""Say whether a value can be what a daemon's setting takes, such as an address, a name or a URL.

Ours, since Ansible's own tests of addresses need a library and take numbers for addresses, and a regex for each would
stand in every role. Beside each test stands what it takes, in words for the filter ``mistakes``.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from cryptography import x509

LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST = rf"(?=.{{1,253}}\Z){LABEL}([.]{LABEL})*"


def text(parse):
    """Return a test of texts that a regex matches as a whole, or that a function can read."""
    parse = re.compile(parse).fullmatch if isinstance(parse, str) else parse

    def test(value):
        try:
            return isinstance(value, str) and parse(value) not in (None, False, "")
        except (ValueError, re.error):
            return False

    return test


def server(value):
    """Whether a text is a host and a port, an address of IPv6 in brackets."""
    name, _, number = value.rpartition(":")
    known = TESTS["ip_address"](name[1:-1]) if name[:1] + name[-1:] == "[]" else TESTS["host_name"](name)
    return known and number.isdecimal() and TESTS["port"](int(number))


def http_url(value, schemes=("http", "https")):
    """Whether a text is a URL of one of the schemes."""
    parts = urlsplit(value)
    plain = "@" not in parts.netloc and not re.search(r"[\s\"'\\{}<>$%]", value)
    return plain and parts.scheme in schemes and bool(parts.hostname) and parts.port != 0


def is_number(value, kind=int | float):
    """Whether it is a number, and not a text that looks like one."""
    return isinstance(value, kind) and not isinstance(value, bool)


TESTS_AND_WORDS = {
    "certificates": (text(lambda pem: x509.load_pem_x509_certificates(pem.encode())), "certificates in PEM"),
    "command": (text(r"/\S.*"), "a command line that begins with the path of a program"),
    "entry_name": (text(r"[A-Za-z0-9_][A-Za-z0-9_.-]*"), "a name of letters, digits, '_', '.' and '-'"),
    "host_name": (text(HOST), "a host name"),
    "http_url": (text(http_url), "an http or https URL, without a login and what needs quotes"),
    "https_url": (text(lambda url: http_url(url, ["https"])), "an https URL, without a login and what needs quotes"),
    "ip_address": (text(ipaddress.ip_address), "an address of IPv4 or IPv6"),
    "login_name": (text(r"[^\s:\"]+"), "a name without spaces, quotes and colons"),
    "mail_address": (text(rf"[A-Za-z0-9_+-]+([.][A-Za-z0-9_+-]+)*@{HOST}"), "a mail address"),
    "moment": (
        text(r"20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]) ([01]\d|2[0-3]):[0-5]\d"),
        'a moment, "2031-12-01 22:00"',
    ),
    "network": (text(ipaddress.ip_interface), "an address or a network of IPv4 or IPv6"),
    "one_line": (text(".+"), "a text of one line"),
    "quotable": (text(r"[^'\n\\]+"), "a text of one line without single quotes and backslashes"),
    "regexp": (text(lambda value: re.compile(value).pattern), "a regular expression"),
    "server": (text(server), "a host and a port, such as web1:80 or [fd00::1]:80"),
    "time_of_day": (text(r"([01]\d|2[0-3]):[0-5]\d|24:00"), 'a time of the day in quotation marks, "02:00"'),
    "title": (text(r"[A-Za-z0-9][A-Za-z0-9 ._-]*"), "a name of letters, digits, spaces, '_', '.' and '-'"),
    "unit_name": (text(r"[A-Za-z0-9:_.@-]+"), "the name of a systemd unit"),
    "url_path": (text(r"/[A-Za-z0-9._~:/?#@&+,=%-]*"), "the path of a URL, without what needs quotes"),
    "host": (lambda value: TESTS["host_name"](value) or TESTS["ip_address"](value), "a host name or an address"),
    "host_header": (
        lambda value: TESTS["host"](value) or TESTS["server"](value),
        "a host name or an address, with a port if need be",
    ),
    "metrics_path": (
        text(lambda value: TESTS["entry_name"](value) or http_url(value, ["http"])),
        "a name below the gateway's URL, or an http URL",
    ),
    "secret": (
        lambda value, least: text(r"\S(.*\S)?")(value) and least <= len(value.encode()) <= 72,
        "a text of {} to 72 bytes, of one line that neither begins nor ends with a space",
    ),
    "positive": (lambda value: is_number(value) and value > 0, "a number, more than 0"),
    "percentage": (lambda value: is_number(value) and 0 < value < 100, "a percentage, more than 0 and less than 100"),
    "within": (lambda value, low, high: is_number(value, int) and low <= value <= high, "a whole number from {} to {}"),
    "port": (lambda value: is_number(value, int) and 0 < value < 65536, "a port, from 1 to 65535"),
    "rising": (
        lambda value: 0 <= float(value["warning"]) < float(value["critical"]),
        "numbers from 0 on, warning less than critical",
    ),
    "falling": (
        lambda value: 0 <= float(value["critical"]) < float(value["warning"]) <= 100,
        "percentages, critical less than warning",
    ),
    "in_order": (
        lambda value, first, last: value.get(first) is None or str(value[first]) < str(value.get(last)),
        "{} and a later {}",
    ),
    "one_of": (lambda value, known: value in known, "one of {}"),
    "other_than": (lambda value, known: value not in known, "none of {}"),
    "some_of": (lambda value, known: isinstance(value, list) and not set(value) - set(known), "a list, each of {}"),
    "list_of": (
        lambda value, test: isinstance(value, list) and all(map(TESTS[test], value)),
        "a list, each element {}",
    ),
    "dict_of": (
        lambda value, test: isinstance(value, dict) and all(map(TESTS[test], value.values())),
        "a dictionary, each value {}",
    ),
}
TESTS = {name: test for name, (test, _) in TESTS_AND_WORDS.items()}
for checks, words in TESTS_AND_WORDS.values():
    checks.takes = words


class TestModule:
    """What Ansible loads."""

    def tests(self):
        """Return the tests by their names."""
        return TESTS
