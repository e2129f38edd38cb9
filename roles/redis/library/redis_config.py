"""Make a running Redis or Sentinel what its configuration says."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.redis_members import ADMIN, OPTIONS, Denied, Members, Redis, RedisError, ResponseError

DOCUMENTATION = """
module: redis_config
short_description: Make a running Redis or Sentinel what its configuration says
description:
  - Compares the users and settings of this host's Redis or Sentinel with those of a configuration, and changes what
    differs, without a restart and without a connection being lost. Users that are not wanted are deleted. Connections
    without a login are closed if they were let in.
  - What the configuration comes to is learnt from another Redis or Sentinel, which runs for that moment, without data,
    and listens on a socket in a temporary folder only. Rules and settings that are unknown are refused by that one.
options:
  set:
    description: The set, as the module C(redis_primary) takes it.
    type: dict
    required: true
  admin_password:
    description: As the module C(redis_primary) takes it.
    type: str
    required: true
  daemon:
    description: What is made so.
    type: str
    choices: [redis, sentinel]
    default: redis
  config:
    description: The text of the configuration files, users included.
    type: str
    required: true
  settings:
    description: Whether to change all settings, or only the password that Redis follows its primary with.
    type: bool
    default: true
  apply:
    description: Whether to change anything, or only to check the configuration.
    type: bool
    default: true
requirements: [redis]
author: the maintainers
"""

EXAMPLES = """
- name: Give the users their rights and passwords
  redis_config:
    set: "{{ set }}"
    admin_password: "{{ password }}"
    config: |
      maxmemory 64mb
      user default reset off
      user admin reset on #0cc175b9… ~* &* +@all
"""

RETURN = """
actions:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: success
"""

DEFAULT = "default"
LOOPBACK = "127.0.0.1"
"""Where one that lets everybody in answers, too: protected mode closes it to all others, passwords or not."""

SCRATCH_SECONDS = 10
LOG_LINES = 4

# Whatever the configuration says, it leaves this host's Redis alone.
APART = """
dir {folder}
unixsocket {folder}/socket
port 0
tls-port 0
logfile ""
pidfile ""
"""

# What follows from the place, the unit and its limits, what the Sentinels say, and the password of the user default.
# The old names of settings, with "slave" in them, are not compared either.
NOT_COMPARED = {
    *("dir", "unixsocket", "port", "tls-port", "logfile", "pidfile"),
    *("daemonize", "supervised", "maxclients", "replicaof", "requirepass"),
}
FOLLOWING = {"masteruser", "masterauth"}

# What Sentinel tells of its settings for a primary, besides what it knows of it.
OF_PRIMARY = {"down-after-milliseconds", "failover-timeout", "parallel-syncs", "quorum"}


class Scratch:
    """A daemon without data, for as long as the context lasts, which gives a function to connect to it."""

    def __init__(self, module, kind, text):
        self.module = module
        self.kind = kind
        self.text = text

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="redis-")
        folder = Path(self.folder.name)
        conf, self.log = folder / "redis.conf", folder / "log"
        conf.touch(mode=0o600)
        conf.write_text(self.text + APART.format(folder=folder), encoding="utf-8")
        for path in (folder, conf):
            shutil.chown(path, "redis", "redis")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [self.kind.program, str(conf)],
                user="redis",
                group="redis",
                extra_groups=[],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait()
        return self.connect

    def connect(self, **login):
        """Return a connection."""
        return Redis(unix_socket_path=f"{self.folder.name}/socket", decode_responses=True, **login)

    def wait(self):
        """Wait until it answers."""
        deadline = time.monotonic() + SCRATCH_SECONDS
        while True:
            try:
                self.connect().ping()
                return
            except RedisError:
                if self.process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                end = "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES:])
                self.__exit__()
                name, variable = self.kind.name, self.kind.variable
                self.module.fail_json(msg=f"{name} does not start with {variable}. Its log ends:\n{end}")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


class RedisDaemon:
    """A running Redis: what it says of its users and settings, and how they are changed."""

    name = "Redis"
    program = "/usr/bin/redis-server"
    variable = "redis_settings"

    def __init__(self, client, primary):
        self.client = client
        self.primary = primary

    @property
    def users(self):
        """The users as it writes them down, by name. The order of the commands differs by the process."""
        return {line.split()[1]: set(line.split()[2:]) for line in self.client.acl_list()}

    @property
    def settings(self):
        """The settings that are compared, by name."""
        values = self.client.config_get("*")
        return {name: values[name] for name in values.keys() - NOT_COMPARED if "slave" not in name}

    def set(self, name, value):
        """Change a setting."""
        self.client.config_set(name, value)


class SentinelDaemon(RedisDaemon):
    """A running Sentinel, whose settings are those for the primary and those for all."""

    name = "Sentinel"
    program = "/usr/bin/redis-sentinel"
    variable = "redis_sentinel_settings"

    @property
    def settings(self):
        """The settings that are compared, by name."""
        of_primary = self.client.sentinel_master(self.primary)
        values = self.client.execute_command("SENTINEL CONFIG", "GET", "*")
        return dict(zip(values[::2], values[1::2], strict=True)) | {name: of_primary[name] for name in OF_PRIMARY}

    def set(self, name, value):
        """Change a setting."""
        scope = ["SET", self.primary] if name in OF_PRIMARY else ["CONFIG", "SET"]
        self.client.execute_command("SENTINEL", *scope, name, value)


DAEMONS = {"redis": RedisDaemon, "sentinel": SentinelDaemon}


def split(config):
    """Return the users of a configuration, each with the rules for ACL SETUSER, and all other lines."""
    lines = config.split("\n")
    users = {line.split()[1]: line.split()[2:] for line in lines if line.startswith("user ")}
    return users, "\n".join(line for line in lines if not line.startswith("user "))


def learn(module, kind, wanted, text):
    """Return the users and settings as the daemon writes them down."""
    with Scratch(module, kind, text) as connect:
        scratch = connect()
        # The last that this connection may do.
        for name in sorted(wanted, key=DEFAULT.__eq__):
            try:
                scratch.execute_command("ACL SETUSER", name, *wanted[name])
            except ResponseError as error:
                module.fail_json(msg=f"The rules of {name}, one of redis_users, are not Redis's: {error}")
        admin = connect(username=ADMIN, password=module.params["admin_password"])
        daemon = kind(admin, module.params["set"]["primary_name"])
        return daemon.users, daemon.settings


def align_users(daemon, wanted, lines, check_mode):
    """Change the users that differ; return what was done."""
    present = daemon.users
    changed = [name for name in wanted if present.get(name) != lines[name]]
    leaving = sorted(present.keys() - wanted.keys())
    if not check_mode:
        for name in changed:
            daemon.client.execute_command("ACL SETUSER", name, *wanted[name])
        if leaving:
            daemon.client.execute_command("ACL DELUSER", *leaving)
        # Who was let in stays in.
        if "on" in present[DEFAULT]:
            daemon.client.execute_command("CLIENT KILL", "USER", DEFAULT)
    return [f"set the user {name}" for name in changed] + [f"delete the user {name}" for name in leaving]


def align_settings(daemon, values, check_mode):
    """Change the settings that differ; return what was done."""
    present = daemon.settings
    changed = sorted(name for name in values if present.get(name) != values[name])
    if not check_mode:
        for name in changed:
            daemon.set(name, values[name])
    return [f"set {name}" for name in changed]


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=OPTIONS
        | {
            "daemon": {"type": "str", "choices": list(DAEMONS), "default": "redis"},
            "config": {"type": "str", "required": True, "no_log": True},
            "settings": {"type": "bool", "default": True},
            "apply": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    if Redis is None and module.check_mode:
        module.exit_json(changed=module.params["apply"], actions=[])
    members = Members(module)
    wanted, text = split(module.params["config"])
    kind = DAEMONS[module.params["daemon"]]
    lines, values = learn(module, kind, wanted, text)
    if not module.params["apply"]:
        module.exit_json(changed=False, actions=[])
    if not module.params["settings"]:
        values = {name: values[name] for name in FOLLOWING}
    actions = []
    try:
        with {"redis": members.redis, "sentinel": members.sentinel}[module.params["daemon"]](LOOPBACK) as client:
            daemon = kind(client, members.name)
            actions += align_settings(daemon, values, module.check_mode)
            actions += align_users(daemon, wanted, lines, module.check_mode)
    except Denied:
        members.fail(
            f"This host's {kind.name} lets the administrator in neither with redis_admin_password nor with the password"
            " of the last complete run. Run once with the password that a run in between had, or restart the daemon"
            " here: it then takes the one that is set now."
        )
    except RedisError as error:
        members.fail(f"This host's {kind.name} did not do what it was asked: {error}")
    module.exit_json(changed=bool(actions), actions=actions)


if __name__ == "__main__":
    main()
