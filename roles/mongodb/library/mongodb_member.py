"""Look after this host's member of a MongoDB replica set."""

from __future__ import annotations

import json
import time

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.mongodb_members import POLL_SECONDS, MongoClient, ask, endpoint, names_of
from ansible.module_utils.systemd import systemctl, tail

DOCUMENTATION = """
module: mongodb_member
short_description: Look after this host's member of a MongoDB replica set
description:
  - Waits until the C(mongod) of this host is primary or secondary of its set.
  - Restarts it before that, if told to. Waits first until a majority of the set is well without it, and refuses to
    restart it if that does not come about, so that the set never loses its primary for more than an election.
  - Needs no credentials. Whether a member is well is what the member itself says.
options:
  restart:
    description:
      - Which member is restarted first, if this host's is one.
      - V(idle) is one that does no work for its set, which has no primary, does not know the member by its address, or
        waits for it. Such a member is not waited for afterwards, but for an answer of it.
      - V(secondary) is any but the primary, V(any) also the primary.
    type: str
    choices: [none, idle, secondary, any]
    default: none
  address:
    description: This host's address in the set.
    type: str
    required: true
  unit:
    description: The systemd unit.
    type: str
    default: mongod
  port:
    description: The port of this host's C(mongod).
    type: int
    default: 27017
  timeout:
    description: How long to wait, in seconds.
    type: int
    default: 120
  log:
    description: The log file of C(mongod). A failure shows its end.
    type: path
    default: /var/log/mongodb/mongod.log
requirements: [pymongo]
author: the maintainers
"""

EXAMPLES = """
- name: Restart the member
  mongodb_member:
    address: 10.0.1.31
    restart: any
  throttle: 1
"""

RETURN = """
state:
  description: What the member is (V(primary) or V(secondary), or in words what it does instead).
  type: str
  returned: success
"""


def state_of(answer):
    """Say in words what a member said of itself."""
    if answer.get("isWritablePrimary"):
        return "primary"
    if answer.get("secondary"):
        return "secondary"
    if not answer:
        return "without an answer"
    if answer.get("isreplicaset"):
        return "not in a set"
    return "starting, catching up or recovering"


def is_well(answer):
    """Whether a member takes part in its set."""
    return state_of(answer) in ("primary", "secondary")


def has_primary(answer, others):
    """Whether a member or one of the others is the primary."""
    return any(said.get("isWritablePrimary") for said in (answer, *others.values()))


class Member:
    """The member on this host."""

    def __init__(self, module):
        self.module = module
        self.unit = module.params["unit"]
        self.restarts = module.params["restart"]
        self.deadline = time.monotonic() + module.params["timeout"]

    def ask(self):
        """Return what the member says."""
        return ask(endpoint("127.0.0.1", self.module.params["port"]))

    def others(self, answer):
        """Return what the other members of the set say, by their names."""
        return {name: ask(name) for name in names_of(answer) if name != answer["me"]}

    def is_due(self, answer):
        """Whether the member is one of those to restart."""
        if self.restarts == "idle":
            name = endpoint(self.module.params["address"], self.module.params["port"])
            return not is_well(answer) or answer["me"] != name or not has_primary(answer, self.others(answer))
        return self.restarts == "any" or (self.restarts == "secondary" and not answer.get("isWritablePrimary"))

    def fail(self, message):
        """Fail with the message and the end of the log, its wrapping taken off."""
        log = tail(self.module.params["log"], readable)
        self.module.fail_json(msg=f"{message}\nThe log of mongod ends:\n{log}")

    def over(self):
        """Wait a moment; return whether the time is up."""
        time.sleep(POLL_SECONDS)
        return time.monotonic() > self.deadline

    def wait_until_spared(self):
        """Wait until the set keeps a majority without this member, unless it has no primary to lose."""
        while True:
            answer = self.ask()
            states = self.others(answer)
            well = sum(map(is_well, states.values()))
            if not states or not has_primary(answer, states) or well > len(names_of(answer)) // 2:
                return
            if self.over():
                others = ", ".join(f"{name} is {state_of(state)}" for name, state in states.items())
                self.module.fail_json(
                    msg=f"{self.unit} needs a restart, which would leave its set without a majority: {others}."
                    " Bring them back, or take them out of the set, first."
                )

    def restart(self):
        """Restart the unit."""
        code, output = systemctl("restart", self.unit)
        if code:
            self.fail(f"systemctl restart {self.unit} failed: {output}")

    def is_up(self):
        """Whether systemd has the unit running."""
        return systemctl("is-active", self.unit)[0] == 0

    def wait_until_well(self):
        """Wait until the member takes part in its set, or answers if it did no work for it; return its state."""
        while True:
            answer = self.ask()
            if is_well(answer) or (answer and self.restarts == "idle"):
                return state_of(answer)
            if not answer and not self.is_up():
                self.fail(f"{self.unit} does not stay up.")
            if self.over():
                self.fail(
                    f"After {self.module.params['timeout']} seconds, mongod on this host is {state_of(answer)},"
                    " and neither primary nor secondary. One that copies its data from another needs time:"
                    " run again later, or raise mongodb_timeout."
                )


def readable(line):
    """Return the gist of a line of the log, which is in JSON."""
    try:
        entry = json.loads(line)
        return " ".join([entry["t"]["$date"], entry["s"], entry["msg"], json.dumps(entry.get("attr", {}))])[:400]
    except (ValueError, KeyError, TypeError):
        return line[:400]


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "restart": {"type": "str", "choices": ["none", "idle", "secondary", "any"], "default": "none"},
            "address": {"type": "str", "required": True},
            "unit": {"type": "str", "default": "mongod"},
            "port": {"type": "int", "default": 27017},
            "timeout": {"type": "int", "default": 120},
            "log": {"type": "path", "default": "/var/log/mongodb/mongod.log"},
        },
        supports_check_mode=True,
    )
    if MongoClient is None:
        if module.check_mode:
            module.exit_json(changed=False)
        module.fail_json(msg=missing_required_lib("pymongo"))

    member = Member(module)
    answer = member.ask()
    due = member.is_due(answer)
    if module.check_mode or (member.restarts != "none" and not due):
        module.exit_json(changed=due, state=state_of(answer))
    if due:
        if member.restarts != "idle":
            member.wait_until_spared()
        member.restart()
        member.deadline = time.monotonic() + module.params["timeout"]
    module.exit_json(changed=due, state=member.wait_until_well())


if __name__ == "__main__":
    main()
