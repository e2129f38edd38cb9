"""What dpkg has already is not asked of apt. That what is missing is installed is proved by every role's scenario."""

import re
import shlex

import pytest
from conftest import PROJECT, load

DPKG = """\
installed postfix 3.7.11-0+deb12u1
installed libssl3 3.0.15-1~deb12u1
installed libssl3 3.0.15-1~deb12u1
installed mongodb-org 6.0.19
installed socat 1:1.7.4.4-2
config-files monit 1:5.33.0-1
not-installed exim4 \n"""


@pytest.fixture
def installed():
    """Ask the plugin, of which dpkg is the only part of the host that it sees."""
    plugin = load(PROJECT / "plugins/action/packages.py").ActionModule
    action = plugin.__new__(plugin)

    def dpkg(command):
        names = shlex.split(re.search(r"^dpkg-query --show --showformat='.*' (.+)$", command, re.MULTILINE)[1])
        return {"stdout": "".join(line for line in DPKG.splitlines(keepends=True) if line.split()[1] in names)}

    action._low_level_execute_command = dpkg
    return lambda names: action.ask_dpkg(names)[0]


@pytest.mark.parametrize(
    "names",
    [
        ["postfix"],
        ["postfix", "libssl3", "socat"],
        ["mongodb-org=6.0.*"],
        ["mongodb-org=6.0.19", "postfix"],
        ["socat=1:1.7.4.4-2"],
    ],
)
def test_packages_that_are_there_are_not_asked_for(installed, names):
    assert installed(names)


@pytest.mark.parametrize(
    "names",
    [
        ["memcached"],
        ["postfix", "memcached"],
        ["monit"],
        ["exim4"],
        ["mongodb-org=8.0.*"],
        ["mongodb-org=6.0.2"],
        ["socat=1.7.4.4-2"],
    ],
)
def test_what_is_missing_removed_or_of_another_version_is(installed, names):
    assert not installed(names)
