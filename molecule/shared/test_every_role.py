"""What holds for every role, asked of the converged hosts of its scenario."""

import re

import pytest
from support import journal, told

SECRET_NAMES = re.compile(
    r"(certificate|keyfile|password|private_key|secret|secret_key|secrets|(nagios|prometheus)_(users|reporters)_\w+)$"
)


def secrets_in(value, name=""):
    """Yield the strings below ``value`` that stand under a name of a secret."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from secrets_in(below, f"{name}_{key}".lower())
    elif isinstance(value, list):
        for below in value:
            yield from secrets_in(below, name)
    elif isinstance(value, str) and SECRET_NAMES.search(name):
        yield value.strip()
        # A log has it line by line.
        yield from re.findall(r"PRIVATE KEY-----\s+(\S{32,})", value)


@pytest.fixture(scope="session")
def secrets(variables):
    """The secrets of all hosts."""
    return {secret for host in variables.groups["all"] for secret in secrets_in(variables.of(host))}


def test_check_mode_finds_nothing_to_change_or_to_repair_and_tells_no_secret(run, secrets):
    """A dry run over the converged hosts, as talkative as it gets."""
    done = run(check=True, diff=True, verbosity=3)
    assert done.ok, done.output
    assert not done.changed, done.output

    # Ansible deprecates every strategy of third parties, Mitogen's too, without a date and without an alternative.
    deprecations = re.findall(r"\[DEPRECATION WARNING\]: (?!Use of strategy plugins)[^\n]+", done.output)
    assert not deprecations

    found = told(secrets, done.output.encode())
    assert not found, f"{found} of {len(secrets)} secrets are in the output of -vvv --diff"


def test_no_secret_is_in_a_journal(hosts, secrets):
    """Whatever was converged, and whatever went wrong, before."""
    found = {name: told(secrets, journal(host)) for name, host in hosts.items()}
    assert not any(found.values()), f"of {len(secrets)} secrets, so many are in the journal: {found}"
