"""Install packages, and ask dpkg first whether there is anything to install."""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase

from ansible.plugins.action import ActionBase

DOCUMENTATION = """
module: packages
short_description: Install packages, and ask dpkg first whether there is anything to install
description:
  - Leaves the work to M(ansible.builtin.apt), without recommended packages and with package lists that are at most an
    hour old.
  - Where dpkg has all packages already, that is all that is asked. M(ansible.builtin.apt) would fetch the lists and
    read them all first, which for each role and host takes longer than everything else that a second run does.
options:
  name:
    description: Names of packages, some with C(=) and a version behind, in which C(*) stands for anything.
    type: list
    elements: str
    required: true
  policy_rc_d:
    description: With V(101), the packages start no services.
    type: int
  update_cache:
    description: Whether the lists are fetched although they are not old.
    type: bool
    default: false
author: the maintainers
"""

EXAMPLES = """
- name: Install MongoDB
  packages:
    name: [mongodb-org=8.0.*, python3-pymongo]
    policy_rc_d: 101
"""

RETURN = """
changed:
  description: Whether anything was installed, or would be. Other values are those of M(ansible.builtin.apt).
  type: bool
  returned: always
"""

OPTIONS = {
    "name": {"type": "list", "elements": "str", "required": True},
    "policy_rc_d": {"type": "int"},
    "update_cache": {"type": "bool", "default": False},
}
OLDEST_LISTS_SECONDS = 3600


class ActionModule(ActionBase):
    """See the documentation above."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Install what is missing."""
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(OPTIONS)
        if self.installed(options["name"]):
            return result | {"changed": False}
        lists = {"update_cache": True} if options["update_cache"] else {"cache_valid_time": OLDEST_LISTS_SECONDS}
        arguments = {"name": options["name"], "install_recommends": False, "policy_rc_d": options["policy_rc_d"]}
        return result | self._execute_module("ansible.builtin.apt", arguments | lists, task_vars=task_vars)

    def installed(self, wanted):
        """Whether dpkg has all of the packages, each in its version."""
        versions = dict(name.partition("=")[::2] for name in wanted)
        command = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package} ${Version}\\n", *versions]
        # Of names that it does not know it says so, and goes on.
        lines = self._low_level_execute_command(shlex.join(command))["stdout"].splitlines()
        found = dict(line.split()[1:] for line in lines if line.startswith("installed "))
        return all(name in found and fnmatchcase(found[name], version or "*") for name, version in versions.items())
