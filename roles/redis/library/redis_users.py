"""Give the users of a running Redis their rights and passwords."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.redis_members import SET, Denied, Members, Redis, RedisError, ResponseError

DOCUMENTATION = """
module: redis_users
short_description: Give the users of a running Redis their rights and passwords
description:
  - Compares the users of this host's Redis with those that are wanted, and changes what differs, without a restart and
    without a connection being lost. Users that are not wanted are deleted; the user C(default) is off.
  - How Redis writes down the wanted users is learnt from another Redis, which runs for that moment, without data, and
    listens on a socket in a temporary folder only. Rules and settings that Redis does not know are refused by that one.
options:
  set:
    description: The set, as the module C(redis_primary) takes it.
    type: dict
    required: true
  users:
    description: All users but C(default).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The user's name.
        type: str
        required: true
      password:
        description: The user's password.
        type: str
        required: true
      rules:
        description: What the user may do, in Redis's words.
        type: str
        required: true
  replication_password:
    description: The password that this Redis follows its primary with.
    type: str
  settings:
    description: Settings, as in redis.conf, to start the other Redis with.
    type: str
    default: ""
  apply:
    description: Whether to change anything, or only to check the rules.
    type: bool
    default: true
requirements: [redis]
author: the maintainers
"""

EXAMPLES = """
- name: Give the users their rights and passwords
  redis_users:
    set: "{{ set }}"
    users:
      - {name: celery, password: "{{ password }}", rules: "~* &* +@all -@dangerous"}
"""

RETURN = """
actions:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: success
"""

DEFAULT = "default"
SCRATCH_SECONDS = 10
LOG_LINES = 4


# Whatever the settings say, it leaves this host's Redis alone.
APART = """
dir {folder}
unixsocket {folder}/socket
port 0
tls-port 0
appendonly no
save ""
logfile ""
pidfile ""
"""


class Scratch:
    """A Redis without data, for as long as the context lasts."""

    def __init__(self, module):
        self.module = module

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="redis-")
        folder = Path(self.folder.name)
        conf, self.log = folder / "redis.conf", folder / "log"
        conf.write_text(self.module.params["settings"] + APART.format(folder=folder))
        for path in (folder, conf):
            shutil.chown(path, "redis", "redis")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["/usr/bin/redis-server", str(conf)],
                user="redis",
                group="redis",
                extra_groups=[],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self.wait_for(Redis(unix_socket_path=f"{folder}/socket", decode_responses=True))

    def wait_for(self, client):
        """Return the client once it is answered."""
        deadline = time.monotonic() + SCRATCH_SECONDS
        while True:
            try:
                client.ping()
                return client
            except RedisError:
                if self.process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                end = "\n".join(self.log.read_text().splitlines()[-LOG_LINES:])
                self.__exit__()
                self.module.fail_json(msg=f"Redis does not start with redis_settings. Its log ends:\n{end}")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def tokens(user):
    """Return a user's definition for ACL SETUSER, whatever the user was before."""
    digest = hashlib.sha256(user["password"].encode()).hexdigest()
    return ["reset", "on", f"#{digest}", *user["rules"].split()]


def listed(client):
    """Return the users of a Redis as it writes them down, by name. The order of the commands differs by the process."""
    return {line.split()[1]: set(line.split()[2:]) for line in client.acl_list()}


def learn(module, wanted):
    """Return the wanted users as Redis writes them down, by name."""
    with Scratch(module) as scratch:
        for name, definition in wanted.items():
            try:
                scratch.execute_command("ACL SETUSER", name, *definition)
            except ResponseError as error:
                module.fail_json(msg=f"The rules of {name}, one of redis_users, are not Redis's: {error}")
        return listed(scratch)


def align(client, wanted, lines, check_mode):
    """Change the users that differ; return what was done."""
    present = listed(client)
    changed = [name for name in wanted if present.get(name) != lines[name]]
    leaving = sorted(present.keys() - wanted.keys() - {DEFAULT})
    open_to_all = "on" in present[DEFAULT]
    if not check_mode:
        for name in changed:
            client.execute_command("ACL SETUSER", name, *wanted[name])
        if leaving:
            client.execute_command("ACL DELUSER", *leaving)
        if open_to_all:
            client.execute_command("ACL SETUSER", DEFAULT, "reset")
    changed += [DEFAULT] if open_to_all else []
    return [f"set {name}" for name in changed] + [f"delete {name}" for name in leaving]


def align_password(client, password, check_mode):
    """Let this Redis follow its primary with the password; return what was done."""
    if client.config_get("masterauth")["masterauth"] == password:
        return []
    if not check_mode:
        client.config_set("masterauth", password)
    return ["set the password of the replication"]


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "set": SET,
            "users": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                    "rules": {"type": "str", "required": True},
                },
            },
            "replication_password": {"type": "str", "no_log": True},
            "settings": {"type": "str", "default": ""},
            "apply": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    if Redis is None and module.check_mode:
        module.exit_json(changed=module.params["apply"], actions=[])
    members = Members(module)
    wanted = {user["name"]: tokens(user) for user in module.params["users"]}
    lines = learn(module, wanted)
    if not module.params["apply"]:
        module.exit_json(changed=False, actions=[])
    actions = []
    try:
        with members.redis() as client:
            password = module.params["replication_password"]
            if password is not None:
                actions += align_password(client, password, module.check_mode)
            actions += align(client, wanted, lines, module.check_mode)
    except Denied:
        members.fail(
            "This host's Redis lets the administrator in neither with redis_admin_password nor with the password of the"
            " last complete run. Run once with the password that a run in between had, or restart redis-server here:"
            " it then takes the one that is set now."
        )
    except RedisError as error:
        members.fail(f"This host's Redis did not do what it was asked: {error}")
    module.exit_json(changed=bool(actions), actions=actions)


if __name__ == "__main__":
    main()
