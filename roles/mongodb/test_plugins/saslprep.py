"""A test for passwords that SCRAM takes, which MongoDB logs its users in by."""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0 as unicode

PROHIBITED = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(password):
    """Whether SASLprep (RFC 4013) has a form of the password: without it, MongoDB and its drivers fail on it."""
    mapped = (" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    text = unicode.normalize("NFKC", "".join(mapped))
    if not text or any(prohibited(c) for c in text for prohibited in PROHIBITED):
        return False
    if any(map(stringprep.in_table_d1, text)):
        return not any(map(stringprep.in_table_d2, text)) and all(map(stringprep.in_table_d1, (text[0], text[-1])))
    return True


class TestModule:
    """The test by its name in templates."""

    def tests(self):
        """Return the test."""
        return {"saslprep": saslprep}
