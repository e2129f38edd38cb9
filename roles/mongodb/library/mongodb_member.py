"""Look after this host's member of a MongoDB replica set."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError
except ImportError:
    MongoClient = None

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
    description: Whether to restart the member first.
    type: bool
    default: false
  unless_primary:
    description: Whether to leave a primary as it is.
    type: bool
    default: false
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
    restart: true
  throttle: 1
"""

RETURN = """
state:
  description: What the member is (V(primary) or V(secondary)).
  type: str
  returned: success, but for check mode
"""

ANSWER_SECONDS = 3
POLL_SECONDS = 0.5
LOG_LINES = 12


def ask(host, port=None):
    """Return what a member says of itself and its set, or an empty dict if it does not answer."""
    client = MongoClient(
        host, port, directConnection=True, serverSelectionTimeoutMS=ANSWER_SECONDS * 1000, connectTimeoutMS=2000
    )
    try:
        return client.admin.command("hello")
    except PyMongoError:
        return {}
    finally:
        client.close()


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


class Member:
    """The member on this host."""

    def __init__(self, module):
        self.module = module
        self.unit = module.params["unit"]
        self.deadline = time.monotonic() + module.params["timeout"]

    def ask(self):
        """Return what the member says."""
        return ask("127.0.0.1", self.module.params["port"])

    def fail(self, message):
        """Fail with the message and the end of the log."""
        self.module.fail_json(msg=f"{message}\nThe log of mongod ends:\n{self.log()}")

    def log(self):
        """Return the last lines of the log, their wrapping taken off, for a person to read."""
        try:
            lines = Path(self.module.params["log"]).read_text(errors="replace").splitlines()[-LOG_LINES:]
        except OSError as error:
            return str(error)
        return "\n".join(map(readable, lines))

    def over(self):
        """Wait a moment; return whether the time is up."""
        time.sleep(POLL_SECONDS)
        return time.monotonic() > self.deadline

    def wait_until_spared(self):
        """Wait until the set keeps a majority without this member, unless it has no primary to lose."""
        while True:
            answer = self.ask()
            names = answer.get("hosts", []) + answer.get("passives", [])
            states = {name: ask(name) for name in names if name != answer["me"]}
            primary = any(state.get("isWritablePrimary") for state in (answer, *states.values()))
            well = sum(map(is_well, states.values()))
            if not states or not primary or well > len(names) // 2:
                return
            if self.over():
                others = ", ".join(f"{name} is {state_of(state)}" for name, state in states.items())
                self.module.fail_json(
                    msg=f"{self.unit} needs a restart, which would leave its set without a majority: {others}."
                    " Bring them back, or take them out of the set, first."
                )

    def restart(self):
        """Restart the unit."""
        done = subprocess.run(
            ["/usr/bin/systemctl", "restart", self.unit],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            self.fail(f"systemctl restart {self.unit} failed: {done.stdout.strip()}")

    def wait_until_well(self, *, in_a_set):
        """Wait until the member takes part in its set, or answers if it is in none; return its state."""
        while True:
            answer = self.ask()
            if is_well(answer) or (answer and not in_a_set):
                return state_of(answer)
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
            "restart": {"type": "bool", "default": False},
            "unless_primary": {"type": "bool", "default": False},
            "unit": {"type": "str", "default": "mongod"},
            "port": {"type": "int", "default": 27017},
            "timeout": {"type": "int", "default": 120},
            "log": {"type": "path", "default": "/var/log/mongodb/mongod.log"},
        },
        supports_check_mode=True,
    )
    restart = module.params["restart"]
    if module.check_mode:
        module.exit_json(changed=restart)
    if MongoClient is None:
        module.fail_json(msg=missing_required_lib("pymongo"))

    member = Member(module)
    answer = member.ask()
    if restart and module.params["unless_primary"] and answer.get("isWritablePrimary"):
        module.exit_json(changed=False, state="primary")
    if restart:
        if answer:
            member.wait_until_spared()
        member.restart()
        member.deadline = time.monotonic() + module.params["timeout"]
    state = member.wait_until_well(in_a_set=not restart or "setName" in answer)
    module.exit_json(changed=restart, state=state)


if __name__ == "__main__":
    main()
