"""Find the primary of a set of Redis, or found the set."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.redis_members import OPTIONS, Members, Redis, follow

DOCUMENTATION = """
module: redis_primary
short_description: Find the primary of a set of Redis, or found the set
description:
  - Asks the Sentinels and the Redis of all members who is the primary. The Sentinel that knows of the latest failover
    is right; without any, a running Redis that says so itself.
  - Fails if two members are primaries, and names them, unless the Sentinels settle that within the time.
  - Fails if the primary is none of the members. If its address is silent, waits until the Sentinels have replaced it.
  - On a host that has no data, while Sentinel still calls it the primary, waits for a failover. Started like that, it
    would wipe its replicas.
  - With O(found), if nobody knows a primary and all members answer as replicas, makes the one with the most data the
    primary, the first of those that have equally much.
options:
  set:
    description: The set.
    type: dict
    required: true
    suboptions:
      address:
        description: This host's address, one of the members.
        type: str
        required: true
      members:
        description: The addresses of all members.
        type: list
        elements: str
        required: true
      port:
        description: The port of Redis.
        type: int
        required: true
      sentinel_port:
        description: The port of Sentinel.
        type: int
        required: true
      primary_name:
        description: The name by which Sentinel knows the primary.
        type: str
        required: true
      timeout:
        description: How long to wait, in seconds.
        type: int
        required: true
  admin_password:
    description: The password of the user C(admin). That of the last complete run will do too.
    type: str
    required: true
  found:
    description: Whether to found the set if there is no primary.
    type: bool
    default: false
  data:
    description: The folder of the data and of what Redis and Sentinel remember over a restart.
    type: path
    default: /var/lib/redis
requirements: [redis]
author: the maintainers
"""

EXAMPLES = """
- name: See who is the primary
  redis_primary:
    set: "{{ set }}"
    admin_password: "{{ password }}"
  register: seen
"""

RETURN = """
primary:
  description: The primary's address, empty if nobody knows one.
  type: str
  returned: success
ours:
  description: Whether this host's Redis runs and lets the administrator in.
  type: bool
  returned: success
sentinel_down:
  description: Whether this host has a Sentinel that knows the set and does not run.
  type: bool
  returned: success
"""


def check_data(module, data):
    """Return whether this host is new to the set; fail if it has data from elsewhere."""
    if (data / "redis.conf").exists():
        return False
    found = [path.name for path in (data / "dump.rdb", data / "appendonlydir") if path.exists()]
    if found:
        module.fail_json(
            msg=f"{data} holds {' and '.join(found)}, of a Redis that is not this role's. A new member starts without"
            " data: move it away first, and load it into the set afterwards if you need it."
        )
    return True


def see(module, members, data):
    """Find the primary, without changing anything."""
    new = check_data(module, data)
    while True:
        members.look()
        primary = members.primary
        masters = members.with_role("master")
        unnamed = primary and primary not in members.members
        # If it has moved to another address, its old one is silent, and the Sentinels are about to replace it.
        if unnamed and (members.ask(primary) or members.over()):
            members.fail(
                f"The primary is {primary}, which redis_members does not name. Hand over to a member that it names"
                f" first: redis-cli -p {members.sentinel_port} SENTINEL FAILOVER {members.name}"
            )
        if len(masters) < 2 and not unnamed and not (new and primary == members.local):
            break
        if members.over():
            if len(masters) > 1:
                members.fail(
                    f"There are {len(masters)} primaries, {' and '.join(masters)}, and the Sentinels did not settle it"
                    f" within {members.timeout} seconds. They call {members.chosen or 'none'} the primary. Decide which"
                    f" of them has the data that counts, and let the others follow it:"
                    f" redis-cli REPLICAOF <address> {members.port}"
                )
            members.fail(
                f"This host, {members.local}, has no data, and the Sentinels still call it the primary after"
                f" {members.timeout} seconds: {members.describe()}. Without a majority of the Sentinels they can't"
                " choose another. Bring up a member that has the data, and its Sentinel."
            )
    module.exit_json(
        changed=False,
        primary=primary or "",
        ours=members.answers[members.local].get("role") in ("master", "slave"),
        sentinel_down=(data / "sentinel.conf").exists() and not members.views[members.local],
    )


def found(module, members):
    """Return at once if there is a primary, and make one if all members can be asked and there is none."""
    while True:
        members.look()
        if members.primary:
            module.exit_json(changed=False, primary=members.primary)
        replicas = members.with_role("slave")
        if len(replicas) == len(members.members):
            break
        if module.check_mode:
            module.exit_json(changed=True, primary=members.members[0])
        if members.over():
            members.fail(
                f"Nobody knows a primary, and whether there is one can't be told until all of redis_members answer:"
                f" {members.describe()}."
            )
    primary = max(replicas, key=lambda member: members.answers[member]["slave_repl_offset"])
    if not module.check_mode:
        with members.redis(primary) as client:
            follow(client, None, members.port)
    module.exit_json(changed=True, primary=primary)


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=OPTIONS
        | {
            "found": {"type": "bool", "default": False},
            "data": {"type": "path", "default": "/var/lib/redis"},
        },
        supports_check_mode=True,
    )
    if Redis is None and module.check_mode:
        first = module.params["set"]["members"][0] if module.params["found"] else ""
        module.exit_json(changed=bool(first), primary=first, ours=False, sentinel_down=False)
    members = Members(module)
    if module.params["found"]:
        found(module, members)
    see(module, members, Path(module.params["data"]))


if __name__ == "__main__":
    main()
