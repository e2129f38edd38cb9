"""Install packages, and ask dpkg first whether there is anything to install.

ansible.builtin.apt does the work. It gives up where dpkg was interrupted or a foreign source does not answer, which a
run has to get over by itself, and takes seconds to find that nothing is to be done.
"""

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
  - Removes the C(/usr/sbin/policy-rc.d) of a killed run, which would keep every later package from starting services.
  - Where dpkg has all packages already, that is all that is asked. M(ansible.builtin.apt) would fetch the lists and
    read them all first, which for each role and host takes longer than everything else that a second run does.
  - Waits for as long as ten minutes where another process is at work on the packages.
  - What apt can't do it tries again once dpkg has finished what was interrupted (C(dpkg --configure -a),
    C(apt-get --fix-broken install)), and with the lists that the host has. Warns if it succeeds only then, for example
    where a source that a person added does not answer.
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
LOCK_SECONDS = 600

INTERRUPTED = "dpkg was interrupted"
POLICY = "/usr/sbin/policy-rc.d"
QUERY = rf"""
dpkg-query --show --showformat='${{{{db:Status-Status}}}} ${{{{Package}}}} ${{{{Version}}}}\n' {{names}}
[ -z "$(ls /var/lib/dpkg/updates)" ] || echo {shlex.quote(INTERRUPTED)}
printf '#!/bin/sh\nexit 101\n' | cmp --silent - {POLICY} && echo {POLICY}
"""

# A daemon that dpkg finishes with is not to start either, if the packages may start none.
REPAIR = r"""
umask 022
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
if [ -n "{exit_code}" ] && [ ! -e {policy} ]; then
    trap "rm -f {policy}" EXIT
    printf '#!/bin/sh\nexit {exit_code}\n' > {policy}
    chmod 755 {policy}
fi
keep='--force-confdef --force-confold'
fix() {{
    apt-get --yes --quiet -o DPkg::Lock::Timeout={seconds} $(printf ' -o Dpkg::Options::=%s' $keep) \
        --fix-broken install 2>&1
}}
fix || {{ dpkg --configure -a $keep 2>&1 && fix; }}
"""


class ActionModule(ActionBase):
    """See the documentation above."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Install what is missing."""
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(OPTIONS)
        installed, interrupted, policy = self.ask_dpkg(options["name"])
        if policy and not self._task.check_mode:
            self._low_level_execute_command(f"rm -f {POLICY}")
        if interrupted and not self._task.check_mode:
            problem = self.repair(options)
            if problem:
                return result | {"failed": True, "msg": f"{INTERRUPTED}, and can't go on:\n{problem}"}
        if installed:
            return result | {"changed": interrupted or policy}
        lists = {"update_cache": True} if options["update_cache"] else {"cache_valid_time": OLDEST_LISTS_SECONDS}
        first = self.apt(options, lists, task_vars)
        if not first.get("failed") or self._task.check_mode:
            return result | first
        problem = self.repair(options)
        second = self.apt(options, {}, task_vars)
        if second.get("failed"):
            return (
                result
                | second
                | {"msg": "\n".join(dict.fromkeys(filter(None, [first["msg"], second["msg"], problem])))}
            )
        second.setdefault("warnings", []).append(
            f"apt did it at the second attempt. Of the first it said: {first['msg']}"
        )
        return result | second

    def repair(self, options):
        """Have dpkg finish what was interrupted; return what it says if it can't."""
        exit_code = "" if options["policy_rc_d"] is None else options["policy_rc_d"]
        done = self._low_level_execute_command(REPAIR.format(exit_code=exit_code, policy=POLICY, seconds=LOCK_SECONDS))
        return done["stdout"] if done["rc"] else ""

    def apt(self, options, lists, task_vars):
        """Return what ansible.builtin.apt says of the packages."""
        arguments = {
            "name": options["name"],
            "install_recommends": False,
            "policy_rc_d": options["policy_rc_d"],
            "lock_timeout": LOCK_SECONDS,
            # A source that is gone stays away: apt itself tries each file again.
            "update_cache_retries": 2,
        }
        return self._execute_module("ansible.builtin.apt", arguments | lists, task_vars=task_vars)

    def ask_dpkg(self, wanted):
        """Return whether dpkg has all packages, whether it was interrupted, and whether a policy was left behind."""
        versions = dict(name.partition("=")[::2] for name in wanted)
        # Of names that it does not know it says so, and goes on.
        command = QUERY.format(names=shlex.join(versions))
        lines = self._low_level_execute_command(command)["stdout"].splitlines()
        found = dict(line.split()[1:] for line in lines if line.startswith("installed "))
        installed = all(
            name in found and fnmatchcase(found[name], version or "*") for name, version in versions.items()
        )
        return installed, INTERRUPTED in lines, POLICY in lines
