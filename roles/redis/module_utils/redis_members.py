"""The members of a set of Redis, and their Sentinels, as the administrator meets them."""

from __future__ import annotations

import time
from pathlib import Path

from ansible.module_utils.basic import missing_required_lib

try:
    from redis import Redis
    from redis.exceptions import AuthenticationError, RedisError, ResponseError
except ImportError:
    Redis = None
    AuthenticationError = RedisError = ResponseError = OSError

ADMIN = "admin"
REMEMBERED = Path("/etc/redis/admin-password")
"""The administrator's password of the last complete run, which is in force until this run changes it."""

CONNECT_SECONDS = 2
ANSWER_SECONDS = 5
POLL_SECONDS = 0.3

OPTIONS = {
    "set": {
        "type": "dict",
        "required": True,
        "options": {
            "address": {"type": "str", "required": True},
            "members": {"type": "list", "elements": "str", "required": True},
            "port": {"type": "int", "required": True},
            "sentinel_port": {"type": "int", "required": True},
            "primary_name": {"type": "str", "required": True},
            "timeout": {"type": "int", "required": True},
        },
    },
    # Not below set: Ansible logs a dict as Python writes it, with backslashes doubled, and misses the password in it.
    "admin_password": {"type": "str", "required": True, "no_log": True},
}
"""The options that all modules have."""


class Denied(RedisError):
    """A daemon answers, and lets the administrator in with no password that is known here."""


class Members:
    """The members that the module's option ``set`` describes, and what they say."""

    def __init__(self, module):
        if Redis is None:
            module.fail_json(msg=missing_required_lib("redis"))
        self.module = module
        values = module.params["set"]
        self.local = values["address"]
        self.members = values["members"]
        self.others = [member for member in self.members if member != self.local]
        self.port = values["port"]
        self.sentinel_port = values["sentinel_port"]
        self.name = values["primary_name"]
        self.timeout = values["timeout"]
        self.passwords = [module.params["admin_password"]]
        if REMEMBERED.exists():
            self.passwords.append(REMEMBERED.read_text(encoding="utf-8"))
        self.deadline = time.monotonic() + self.timeout
        self.answers = {}
        self.views = {}

    def fail(self, message, **values):
        """Fail with the message."""
        self.module.fail_json(msg=message, **values)

    def over(self):
        """Wait a moment; return whether the time is up."""
        time.sleep(POLL_SECONDS)
        return time.monotonic() > self.deadline

    # One daemon

    def log_in(self, address, port):
        """Return the administrator's connection to a daemon."""
        for password in dict.fromkeys(self.passwords):
            client = Redis(
                address,
                port,
                username=ADMIN,
                password=password,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                decode_responses=True,
            )
            try:
                client.info("server")
                return client
            except (AuthenticationError, ResponseError) as error:
                client.close()
                # What a wrong password is to the client library depends on its version.
                if not isinstance(error, AuthenticationError) and "WRONGPASS" not in str(error):
                    raise
        raise Denied(f"{address}:{port} lets the administrator in with no password that is known here")

    def redis(self, address=None):
        """Return a connection to the Redis of a member, this host's by default."""
        return self.log_in(address or self.local, self.port)

    def sentinel(self, address=None):
        """Return a connection to the Sentinel of a member, this host's by default."""
        return self.log_in(address or self.local, self.sentinel_port)

    def ask(self, address):
        """Return what the Redis of a member says of its replication, or nothing if it does not answer."""
        try:
            with self.redis(address) as client:
                return client.info("replication")
        except Denied:
            return {"role": "denied"}
        except (RedisError, OSError):
            return {}

    def ask_sentinel(self, address):
        """Return what the Sentinel of a member says of the primary, or nothing if it does not answer or know one."""
        try:
            with self.sentinel(address) as client:
                known = client.sentinel_masters()
        except (Denied, RedisError, OSError):
            return {}
        if known and self.name not in known:
            self.fail(
                f"redis_primary_name is {self.name}, but the Sentinel of {address} knows {', '.join(known)}, and a set"
                " keeps the name that it was founded with."
            )
        return known.get(self.name, {})

    # All of them

    def look(self):
        """Ask all members, and their Sentinels."""
        self.answers = {member: self.ask(member) for member in self.members}
        self.views = {member: self.ask_sentinel(member) for member in self.members}

    def with_role(self, role):
        """Return the members whose Redis says that it has the role."""
        return [member for member, answer in self.answers.items() if answer.get("role") == role]

    @property
    def chosen(self):
        """Whom the Sentinels call the primary, alive or not. The one who knows of the latest failover is right."""
        views = [view for view in self.views.values() if view]
        return max(views, key=lambda view: view["config-epoch"])["ip"] if views else None

    @property
    def primary(self):
        """The primary, as far as anybody knows one."""
        masters = self.with_role("master")
        return self.chosen or (masters[0] if len(masters) == 1 else None)

    def describe(self):
        """Say in words what the members said."""
        return ", ".join(f"{member} is {state_of(answer)}" for member, answer in self.answers.items())


def state_of(answer):
    """Say in words what a Redis said of itself."""
    role = answer.get("role")
    if role == "denied":
        return "closed to the administrator with the password that is set here"
    if role == "slave":
        link = {"up": "in step with", "down": "a replica without a connection to"}[answer["master_link_status"]]
        return f"{link} {answer['master_host']}"
    return {"master": "primary", None: "without an answer"}[role]


def follow(client, primary, port):
    """Make a Redis follow the primary, or nobody, and remember that over a restart."""
    with client.pipeline(transaction=True) as both:
        both.execute_command("REPLICAOF", *((primary, port) if primary else ("NO", "ONE")))
        both.execute_command("CONFIG REWRITE")
        both.execute()


__all__ = ["ADMIN", "OPTIONS", "Denied", "Members", "Redis", "RedisError", "ResponseError", "follow", "state_of"]
