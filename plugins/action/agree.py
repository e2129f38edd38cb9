"""Check that the hosts of one set agree on who belongs to it."""

from __future__ import annotations

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

DOCUMENTATION = """
module: agree
short_description: Check that the hosts of one set agree on who belongs to it
description:
  - Compares this host's list of members with the lists of all hosts of the inventory that it names, or that name this
    host. Fails if they differ, be it in their order, and says which host says what.
  - Runs on the control machine alone. Hosts whose list is no variable of the inventory are left out.
options:
  members:
    description: Name of the variable that lists the addresses of the members.
    type: str
    required: true
  address:
    description: Name of the variable that holds a host's own address in such a list.
    type: str
    required: true
author: the maintainers
"""

EXAMPLES = """
- name: Check that the members agree on who they are
  agree:
    members: redis_members
    address: redis_address
"""


class ActionModule(ActionBase):
    """See the documentation above."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Return a failure that names the lists, if there are several."""
        result = super().run(tmp, task_vars) | {"changed": False}
        _, names = self.validate_argument_spec(
            {"members": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
        )
        here = task_vars["inventory_hostname"]
        own_address, own_members = (self._templar.template(task_vars[names[name]]) for name in ("address", "members"))
        lists = {here: own_members}
        for host in sorted(set(task_vars["groups"]["all"]) - {here}):
            address, members = self.say(task_vars["hostvars"][host], names)
            if members and (address in own_members or own_address in members):
                lists[host] = members
        if any(members != own_members for members in lists.values()):
            said = "; ".join(f"{host} says {', '.join(map(str, members))}" for host, members in lists.items())
            result |= {"failed": True, "msg": f"{names['members']} must be the same on all members: {said}."}
        return result

    @staticmethod
    def say(variables, names):
        """Return another host's address and list of members, or nothing if its variables say nothing of that."""
        try:
            return variables[names["address"]], variables[names["members"]]
        except (AnsibleError, KeyError):
            return None, None
