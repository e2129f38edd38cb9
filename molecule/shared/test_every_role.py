"""What holds for every role, asked of the converged hosts of its scenario."""

import re

SECRET_NAMES = re.compile(r"(password|secret|secrets|private_key|keyfile)$")


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


def test_check_mode_finds_nothing_to_change_and_tells_no_secret(converge, variables):
    """A dry run over the converged hosts, as talkative as it gets."""
    run = converge(check=True, diff=True, verbosity=3)
    assert run.ok, run.output
    assert not run.changed, run.output

    secrets = {secret for host in variables.groups["all"] for secret in secrets_in(variables.of(host))}
    told = sum(secret in run.output for secret in secrets)
    assert not told, f"{told} of {len(secrets)} secrets are in the output of -vvv --diff"
