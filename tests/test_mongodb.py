"""What MongoDB's own Python decides: which passwords it takes, and what a member is called."""

import pytest
from conftest import PROJECT, load

saslprep = load(PROJECT / "roles/mongodb/test_plugins/saslprep.py").saslprep


@pytest.mark.parametrize("password", ["secret", "% $ \"'\\:/@#?", "ü €", "a\u00a0b", "Ⅸ", "\u05d0\u05d1"])
def test_a_password_that_scram_can_prepare_is_taken(password):
    assert saslprep(password)


@pytest.mark.parametrize(
    "password", ["", "\u00ad", "two\nlines", "bell\a", "\U0001f600", "\ue000", "\u202e", "\u05d0a", "\u05d01"]
)
def test_a_password_that_scram_can_not_prepare_is_refused(password):
    assert not saslprep(password)
