"""Look after this host's member of a set of Redis."""

from __future__ import annotations

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.redis_members import OPTIONS, Members, RedisError, ResponseError, follow, state_of
from ansible.module_utils.systemd import systemctl, tail

DOCUMENTATION = """
module: redis_member
short_description: Look after this host's member of a set of Redis
description:
  - Waits until the Redis of this host is a primary with enough replicas in step, or a replica in step, and its Sentinel
    knows the other ones and can choose a primary with them. A member that nobody led to the primary is led there, be it
    a former primary at a new address, which the Sentinels do not know.
  - Restarts it before that, if told to. Waits first until the primary has enough replicas without this one, and refuses
    to restart it if that does not come about. A primary hands over first, and becomes a replica.
  - The handing over loses no write. Writes wait while the replicas take over the last ones, and go to the new primary.
    If the module dies meanwhile, they wait for two seconds at most.
options:
  set:
    description: The set, as the module C(redis_primary) takes it.
    type: dict
    required: true
  admin_password:
    description: As the module C(redis_primary) takes it.
    type: str
    required: true
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
    default: redis-server
requirements: [redis]
author: the maintainers
"""

EXAMPLES = """
- name: Restart the member
  redis_member:
    set: "{{ set }}"
    admin_password: "{{ password }}"
    restart: true
  throttle: 1
"""

RETURN = """
role:
  description: What the member is (V(master) or V(slave)).
  type: str
  returned: success, but for check mode
"""

PAUSE_MILLISECONDS = 2000
IN_STEP_SECONDS = 3
PROMOTION_SECONDS = 15
LOG = "/var/log/redis/redis-server.log"


class Member:
    """The member on this host."""

    def __init__(self, module):
        self.module = module
        self.members = Members(module)
        self.unit = module.params["unit"]
        self.led = False

    @property
    def answer(self):
        """What this host's Redis said when it was last asked."""
        return self.members.answers.get(self.members.local, {})

    def fail(self, message):
        """Fail with the message and the end of the log."""
        self.members.fail(f"{message}\nThe log of {self.unit} ends:\n{tail(LOG)}")

    # Restart

    def in_step(self, primary):
        """Return the replicas that the primary calls in step, and how many it needs to accept writes."""
        with self.members.redis(primary) as client:
            needed = int(client.config_get("min-replicas-to-write")["min-replicas-to-write"])
            longest = int(client.config_get("min-replicas-max-lag")["min-replicas-max-lag"])
        answer = self.members.answers[primary]
        replicas = [answer[f"slave{number}"] for number in range(answer["connected_slaves"])]
        return [one["ip"] for one in replicas if one["state"] == "online" and one["lag"] <= longest], needed

    def is_spared(self):
        """Whether the set goes on without this member. A primary is a replica by the time it is restarted."""
        self.members.look()
        primary = self.members.primary
        if primary not in self.members.with_role("master"):
            return False
        replicas, needed = self.in_step(primary)
        return self.members.local not in [primary, *replicas] or len(replicas) > needed

    def wait_until_spared(self):
        """Wait until the set goes on without this member, unless it has no primary to lose."""
        while not self.is_spared():
            if self.members.over():
                if not self.members.with_role("master"):
                    return
                self.members.fail(
                    f"{self.unit} needs a restart, during which the primary would be without a replica in step and"
                    f" refuse all writes: {self.members.describe()}. Bring the others back first."
                )

    def restart(self):
        """Restart the unit, as its files are now."""
        for arguments in (["daemon-reload"], ["restart", self.unit]):
            code, output = systemctl(*arguments)
            if code:
                self.fail(f"systemctl {' '.join(arguments)} failed: {output}")
        self.members.deadline = time.monotonic() + self.members.timeout

    # Hand over

    def hand_over(self):
        """Make a replica the primary, and this member its replica, in step with it."""
        if self.answer["role"] != "master":
            return
        while self.answer.get("role") == "master":
            obstacle = self.try_to_hand_over()
            if obstacle and self.members.over():
                self.members.fail(
                    f"{self.unit} needs a restart, and {self.members.local}, the primary, could not hand over to a"
                    f" replica: {obstacle} {self.members.describe()}."
                )
            self.members.look()
        self.wait_until_well()

    def try_to_hand_over(self):
        """Hand over; return what prevented it."""
        replicas = self.members.with_role("slave")
        # The Sentinels might choose the very one that is not.
        if not replicas or any(self.members.answers[replica]["master_link_status"] != "up" for replica in replicas):
            return "They are not all in step."
        with self.members.redis() as local:
            try:
                pause(local)
                if not self.wait_until_equal(local, replicas):
                    return f"They did not take over the last writes within {IN_STEP_SECONDS} seconds."
                obstacle = self.order_failover()
                if obstacle:
                    return obstacle
                successor = self.wait_for_successor(local, replicas)
                if not successor:
                    return f"The Sentinels made none of them the primary within {PROMOTION_SECONDS} seconds."
                # The Sentinels would do it too, some ten seconds later, and this primary accept writes until then.
                follow(local, successor, self.members.port)
            finally:
                local.execute_command("CLIENT UNPAUSE")
        return None

    def wait_until_equal(self, local, replicas):
        """Wait until the replicas have all that this primary wrote; return whether they do."""
        written = local.info("replication")["master_repl_offset"]
        deadline = time.monotonic() + IN_STEP_SECONDS
        while time.monotonic() < deadline:
            pause(local)
            offsets = [self.members.ask(replica).get("slave_repl_offset", 0) for replica in replicas]
            if min(offsets) >= written:
                return True
            time.sleep(0.05)
        return False

    def order_failover(self):
        """Order a failover from the first Sentinel that takes the order; return what prevented it."""
        obstacle = "No Sentinel answers."
        for member in [self.members.local, *self.members.others]:
            if not self.members.views[member]:
                continue
            try:
                with self.members.sentinel(member) as client:
                    client.execute_command("SENTINEL FAILOVER", self.members.name)
                    return None
            except RedisError as error:
                obstacle = f"Sentinel says: {error}."
        return obstacle

    def wait_for_successor(self, local, replicas):
        """Wait until a replica is primary, and return it."""
        deadline = time.monotonic() + PROMOTION_SECONDS
        while time.monotonic() < deadline:
            pause(local)
            for replica in replicas:
                if self.members.ask(replica).get("role") == "master":
                    return replica
            time.sleep(0.1)
        return None

    # Wait

    def obstacle(self):
        """Return what keeps this member from being well, or nothing."""
        role = self.answer.get("role")
        if role not in ("master", "slave"):
            return f"Redis on this host is {state_of(self.answer)}."
        view = self.members.views[self.members.local]
        if not view:
            return f"Sentinel on this host does not answer, or does not know {self.members.name}."
        if role == "slave" and self.answer["master_link_status"] != "up":
            self.lead()
            return f"Redis on this host is {state_of(self.answer)}."
        follows = self.answer["master_host"] if role == "slave" else self.members.local
        if view["ip"] != follows:
            # Within that time the Sentinels do it with a former primary that they know.
            if role == "master" and time.monotonic() > self.began + PROMOTION_SECONDS:
                self.lead()
            return f"Redis on this host has {follows} for the primary, and its Sentinel {view['ip']}."
        if role == "master":
            replicas, needed = self.in_step(self.members.local)
            if len(replicas) < needed:
                return f"The primary needs {needed} replicas in step to accept writes, and has {len(replicas)}."
        return self.obstacle_of_sentinel(view)

    def obstacle_of_sentinel(self, view):
        """Return what keeps this host's Sentinel from doing its work, or nothing."""
        alive = sum(bool(self.members.views[member]) for member in self.members.others)
        if view["num-other-sentinels"] < alive:
            return f"Sentinel on this host knows {view['num-other-sentinels']} of {alive} others."
        try:
            with self.members.sentinel() as client:
                client.execute_command("SENTINEL CKQUORUM", self.members.name)
        except ResponseError as error:
            return f"The Sentinels could not choose another primary: {error}."
        return None

    def lead(self):
        """Lead a member that nobody leads to the primary. The Sentinels do that for those that they know."""
        primary = self.members.primary
        if primary in (self.answer.get("master_host"), self.members.local):
            return
        if primary in self.members.with_role("master"):
            with self.members.redis() as client:
                follow(client, primary, self.members.port)
            self.led = True

    def wait_until_well(self):
        """Wait until the member is well; return its role."""
        self.began = time.monotonic()
        while True:
            self.members.look()
            try:
                obstacle = self.obstacle()
            except RedisError as error:
                obstacle = f"Redis did not do what it was asked: {error}."
            if not obstacle:
                return self.answer["role"]
            if self.members.over():
                self.fail(
                    f"After {self.members.timeout} seconds this member is not well. {obstacle}"
                    f" {self.members.describe()}. One that copies its data from another needs time: run again later,"
                    " or raise redis_timeout."
                )


def pause(client):
    """Let writes wait for a moment, from now on."""
    client.execute_command("CLIENT PAUSE", PAUSE_MILLISECONDS, "WRITE")


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=OPTIONS
        | {
            "restart": {"type": "bool", "default": False},
            "unless_primary": {"type": "bool", "default": False},
            "unit": {"type": "str", "default": "redis-server"},
        },
        supports_check_mode=True,
    )
    restart = module.params["restart"]
    if module.check_mode:
        module.exit_json(changed=restart)
    member = Member(module)
    try:
        member.members.look()
        if restart and module.params["unless_primary"] and member.answer.get("role") == "master":
            module.exit_json(changed=False, role="master")
        if restart and member.answer.get("role") in ("master", "slave") and member.members.others:
            member.wait_until_spared()
            member.hand_over()
            member.wait_until_spared()
        if restart:
            member.restart()
        role = member.wait_until_well()
    except RedisError as error:
        member.fail(f"Redis did not do what it was asked: {error}")
    module.exit_json(changed=restart or member.led, role=role)


if __name__ == "__main__":
    main()
