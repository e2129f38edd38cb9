"""What holds for every role, asked of the converged hosts of its scenario."""

import re

SECRET_NAMES = re.compile(r"(certificate|keyfile|password|private_key|secret|secret_key|secrets)$")


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


def test_check_mode_finds_nothing_to_change_or_to_mend_and_tells_no_secret(run, variables):
    """A dry run over the converged hosts, as talkative as it gets."""
    done = run(check=True, diff=True, verbosity=3)
    assert done.ok, done.output
    assert not done.changed, done.output

    # Ansible deprecates every strategy of third parties, Mitogen's too, without a date and without an alternative.
    deprecations = re.findall(r"\[DEPRECATION WARNING\]: (?!Use of strategy plugins)[^\n]+", done.output)
    assert not deprecations

    secrets = {secret for host in variables.groups["all"] for secret in secrets_in(variables.of(host))}
    told = sum(secret in done.output for secret in secrets)
    assert not told, f"{told} of {len(secrets)} secrets are in the output of -vvv --diff"
