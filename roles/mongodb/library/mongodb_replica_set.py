"""Found a MongoDB replica set, and keep its members and users in line."""

from __future__ import annotations

import re
import time

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.mongodb_members import (
    POLL_SECONDS,
    ConnectionFailure,
    MongoClient,
    OperationFailure,
    PyMongoError,
    ask,
    connect,
    endpoint,
    names_of,
)

DOCUMENTATION = """
module: mongodb_replica_set
short_description: Found a MongoDB replica set, and keep its members and users in line
description:
  - Looks first at what is there and chooses its way by that, so a run goes on where an interrupted one stopped.
  - Founds the set if no member knows one. All members must answer for that. The founding member is this host.
  - Gives the set the user C(admin) by MongoDB's localhost exception. If that user does not have the given password,
    it is set with the rights that the members have among each other by the keyfile.
  - Adds and removes members, one at a time, each once the one before is in step. A member that does not answer is not
    added, with a warning. One that is to leave and does not answer leaves first.
  - Gives all members a vote and the same priority, and none a delay.
  - Adds users, and changes the roles and the password of those that differ. A password is compared by logging in.
    Users that are not named stay, with a warning that lists them.
  - May run on any host with a live member. It finds the primary by itself.
options:
  name:
    description: The set's name.
    type: str
    required: true
  address:
    description: This host's address, one of O(members).
    type: str
    required: true
  port:
    description: The port of all members.
    type: int
    default: 27017
  members:
    description: The addresses of all members.
    type: list
    elements: str
    required: true
  keyfile:
    description: The content of the keyfile.
    type: str
    required: true
  admin_password:
    description: The password of the user C(admin).
    type: str
    required: true
  users:
    description: Further users.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The user's name.
        type: str
        required: true
      password:
        description: The user's password.
        type: str
        required: true
      database:
        description: The database that the user logs in to.
        type: str
        required: true
      roles:
        description: Names of roles of O(users[].database), or dicts of C(role) and C(db).
        type: list
        elements: raw
        required: true
  timeout:
    description: How long to wait for a primary, and for a member to be in step, in seconds.
    type: int
    default: 120
requirements: [pymongo]
author: the maintainers
"""

EXAMPLES = """
- name: Bring the replica set in line
  mongodb_replica_set:
    name: rs0
    address: 10.0.1.31
    members: [10.0.1.31, 10.0.1.32, 10.0.1.33]
    keyfile: "{{ keyfile }}"
    admin_password: "{{ admin_password }}"
  run_once: true
"""

RETURN = """
actions:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: always
primary:
  description: The primary, as address and port.
  type: str
  returned: success, but for a set that check mode would found
"""

ADMIN = "admin"
ADMIN_ROLES = ["clusterAdmin", "userAdminAnyDatabase"]

EQUAL = {"votes": 1, "priority": 1, "hidden": False, "secondaryDelaySecs": 0}
"""What the set's configuration says of each member."""

UNAUTHORIZED = 13
AUTHENTICATION_FAILED = 18
ALREADY_INITIALIZED = 23
# Another reconfiguration came between, is under way, or is not yet known to a majority.
TRY_AGAIN = {103, 109, 308}


class Denied(Exception):
    """A name and password did not open the set."""


def log_in(host, name, password, database):
    """Return a client that is logged in."""
    client = connect(host, username=name, password=password, authSource=database, authMechanism="SCRAM-SHA-256")
    try:
        client.admin.command("ping")
    except OperationFailure as error:
        client.close()
        if error.code == AUTHENTICATION_FAILED:
            raise Denied from None
        raise
    return client


def with_database(roles, database):
    """Return roles as MongoDB lists them, in an order that can be compared."""
    pairs = {(role["role"], role["db"]) if isinstance(role, dict) else (role, database) for role in roles}
    return [{"role": name, "db": db} for name, db in sorted(pairs)]


class ReplicaSet:
    """The set that the parameters describe."""

    def __init__(self, module):
        self.module = module
        self.check_mode = module.check_mode
        self.name = module.params["name"]
        port = module.params["port"]
        self.local = endpoint(module.params["address"], port)
        self.members = [endpoint(address, port) for address in module.params["members"]]
        self.local_only = endpoint("127.0.0.1", port)
        self.primary = None
        self.client = None
        self.obstacle = None
        self.actions = []

    def fail(self, message):
        """Fail, and say what was done before."""
        self.module.fail_json(msg=message, changed=bool(self.actions), actions=self.actions)

    def until(self, condition, complaint):
        """Return the condition's value as soon as it is true; fail with the complaint if it does not become so."""
        deadline = time.monotonic() + self.module.params["timeout"]
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                self.fail(complaint())
            time.sleep(POLL_SECONDS)

    # The set

    def found(self):
        """Found the set unless a member knows it already; return whether it is there."""
        answers = {}

        def settled():
            answers.update({member: ask(member) for member in self.members})
            return all(answers.values()) or any("setName" in answer for answer in answers.values())

        def complaint():
            silent = [member for member, answer in answers.items() if not answer]
            return (
                f"No member knows the set {self.name}, and {', '.join(silent)} did not answer within"
                f" {self.module.params['timeout']} seconds: whether there is such a set can't be told."
                " To found it, all of mongodb_members must run."
            )

        if not (self.check_mode and not settled()):
            self.until(settled, complaint)
        names = {answer["setName"] for answer in answers.values() if "setName" in answer}
        if names - {self.name}:
            self.fail(
                f"mongodb_replica_set is {self.name}, but there is a set {', '.join(names)} already, and a set can't be"
                " renamed."
            )
        if names:
            return True
        self.actions.append(f"found the set {self.name}")
        if self.check_mode:
            return False
        self.initiate()
        return True

    def initiate(self):
        """Initiate the set. MongoDB refuses if another member has data. Only this host can be its first primary."""
        config = {
            "_id": self.name,
            "members": [
                {"_id": number, "host": member, "priority": 1 if member == self.local else 0}
                for number, member in enumerate(self.members)
            ],
        }
        client = connect(self.local_only)
        try:
            client.admin.command("replSetInitiate", config)
        except OperationFailure as error:
            # It has only just started, and did not know its set when it was asked.
            if error.code != ALREADY_INITIALIZED:
                self.fail(f"The set {self.name} could not be founded: {error}")
            self.actions.pop()
        finally:
            client.close()

    def find_primary(self):
        """Wait for a primary, among members that are wanted and members that are not, and return its name."""
        answers = {}

        def primary():
            known = dict.fromkeys(self.members)
            for member in self.members:
                answers[member] = ask(member)
                known |= dict.fromkeys(names_of(answers[member]))
            answers.update({member: ask(member) for member in known if member not in answers})
            return next((member for member, answer in answers.items() if answer.get("isWritablePrimary")), None)

        def complaint():
            silent = [member for member, answer in answers.items() if not answer]
            lost = [member for member, answer in answers.items() if answer and "setName" not in answer]
            return (
                f"The set {self.name} has no primary after {self.module.params['timeout']} seconds."
                f" These members do not answer: {', '.join(silent) or 'none'}. These are not in the set, or under"
                f" another address: {', '.join(lost) or 'none'}. A primary needs a majority of the members, and a"
                " keyfile that all of them share. Where a majority changed its addresses at once, give those back, or"
                " force a new configuration by replSetReconfig."
            )

        return self.until(primary, complaint)

    # The administrator

    def open(self):
        """Connect to the primary as the administrator, who comes into being with that if need be."""
        self.primary = self.find_primary()
        password = self.module.params["admin_password"]
        try:
            self.client = log_in(self.primary, ADMIN, password, ADMIN)
        except Denied:
            self.actions.append("set the administrator's password")
            if self.check_mode:
                return False
            if not (self.primary == self.local and self.use_localhost_exception(password)):
                self.use_keyfile(password)
            self.client = log_in(self.primary, ADMIN, password, ADMIN)
        return True

    def use_localhost_exception(self, password):
        """Create the administrator, which a set without any user lets its own host do; return whether it did."""
        client = connect(self.local_only)
        try:
            client[ADMIN].command("createUser", ADMIN, pwd=password, roles=ADMIN_ROLES)
        except OperationFailure as error:
            if error.code == UNAUTHORIZED:
                return False
            raise
        finally:
            client.close()
        return True

    def use_keyfile(self, password):
        """Create the administrator, or set the password, as the user that the members are to each other."""
        secret = self.module.params["keyfile"]
        secrets = re.findall(r"^- (\S+)$", secret, re.MULTILINE) or ["".join(secret.split())]
        for key in secrets:
            try:
                client = log_in(self.primary, "__system", key, "local")
            except Denied:
                continue
            self.write_user(client, ADMIN, ADMIN, password, ADMIN_ROLES)
            client.close()
            return
        self.fail(
            "Neither mongodb_admin_password nor mongodb_keyfile opens the set. If it was founded with others, put them"
            " back; to change the password, leave the keyfile as it is."
        )

    # The members

    def next_step(self, config, silent):
        """Change the configuration by one step towards the wanted members; return its description and its member."""
        present = {member["host"]: member for member in config["members"]}
        if not config["writeConcernMajorityJournalDefault"]:
            config["writeConcernMajorityJournalDefault"] = True
            return "acknowledge writes to a majority once they are in its journals", None
        for host, member in present.items():
            if host in self.members and host not in silent and member | EQUAL != member:
                member.update(EQUAL)
                return f"let {host} vote and be elected", None
        # A vote that nobody casts counts against the majority, and towards the seven that a set may have.
        for host, member in present.items():
            if host not in self.members and host in silent:
                config["members"].remove(member)
                return f"remove {host}", None
        for host in self.members:
            if host not in present and host not in silent:
                number = max(member["_id"] for member in config["members"]) + 1
                config["members"].append({"_id": number, "host": host})
                return f"add {host}", host
        for host, member in present.items():
            if host not in self.members and (host != self.primary or self.check_mode):
                config["members"].remove(member)
                return f"remove {host}", None
        return None, None

    def take_step(self, silent):
        """Take one step towards the wanted members; return it, or nothing if the set is not ready for it."""
        config = self.client.admin.command("replSetGetConfig")["config"]
        action, host = self.next_step(config, silent)
        if action and not self.check_mode:
            config["version"] += 1
            try:
                self.client.admin.command("replSetReconfig", config, maxTimeMS=30000)
            except (OperationFailure, ConnectionFailure) as error:
                if isinstance(error, OperationFailure) and error.code not in TRY_AGAIN:
                    self.fail(f"The set refused to {action}: {error}")
                self.obstacle = f"The set was not ready to {action}: {error}"
                self.reopen()
                return None
        self.actions += [action] if action else []
        return action, host

    def align_members(self):
        """Take the steps towards the wanted members, one after another."""
        config = self.client.admin.command("replSetGetConfig")["config"]
        hosts = dict.fromkeys(self.members + [member["host"] for member in config["members"]])
        silent = [host for host in hosts if not ask(host)]
        while True:
            action, host = self.until(lambda: self.take_step(silent), lambda: self.obstacle)
            if not action or self.check_mode:
                break
            if host:
                self.wait_for(host)
        config = self.client.admin.command("replSetGetConfig")["config"]
        missing = set(self.members) & set(silent) - {member["host"] for member in config["members"]}
        if missing:
            self.module.warn(f"Not added to the set, because they do not answer: {', '.join(sorted(missing))}")
        if self.primary not in self.members and not self.check_mode:
            self.step_down()
            self.align_members()

    def reopen(self):
        """Connect again, to a new primary if there is one."""
        self.client.close()
        self.open()

    def wait_for(self, host):
        """Wait until a new member has copied the data."""

        def in_step():
            members = self.client.admin.command("replSetGetStatus")["members"]
            return any(member["name"] == host and member["stateStr"] == "SECONDARY" for member in members)

        self.until(
            in_step,
            lambda: (
                f"{host} was added and is not in step after {self.module.params['timeout']} seconds. It goes on"
                " copying the data by itself; run again later, or raise mongodb_timeout."
            ),
        )

    def step_down(self):
        """Hand the primary's office to another member, so that it can be removed."""
        before = self.primary
        try:
            self.client.admin.command("replSetStepDown", 60)
        except ConnectionFailure:
            pass
        except OperationFailure as error:
            self.fail(f"{before} is to leave the set and could not hand over: {error}")
        self.until(
            lambda: self.find_primary() != before, lambda: f"{before} is to leave the set and stays its primary."
        )
        self.reopen()

    # The users

    def write_user(self, client, name, database, password, roles):
        """Create a user or change it, the password with it unless that is None."""
        exists = client[database].command("usersInfo", name)["users"]
        values = {"roles": with_database(roles, database)} | ({"pwd": password} if password else {})
        client[database].command(
            "updateUser" if exists else "createUser",
            name,
            writeConcern={"w": "majority", "wtimeout": self.module.params["timeout"] * 1000},
            **values,
        )

    def align_user(self, name, database, password, roles):
        """Create the user, or change what differs."""
        found = self.client[database].command("usersInfo", name)["users"]
        differs = []
        if not found:
            differs = ["create"]
        else:
            if with_database(found[0]["roles"], database) != with_database(roles, database):
                differs.append("change the roles of")
            try:
                log_in(self.primary, name, password, database).close()
            except Denied:
                differs.append("change the password of")
        self.actions += [f"{verb} {database}.{name}" for verb in differs]
        if differs and not self.check_mode:
            keep_password = differs == ["change the roles of"]
            self.write_user(self.client, name, database, None if keep_password else password, roles)

    def align_users(self):
        """Bring the administrator and all other users in line."""
        self.align_user(ADMIN, ADMIN, self.module.params["admin_password"], ADMIN_ROLES)
        for user in self.module.params["users"]:
            self.align_user(user["name"], user["database"], user["password"], user["roles"])
        self.name_strangers()

    def name_strangers(self):
        """Warn of the users that nobody declared."""
        known = {(ADMIN, ADMIN)} | {(user["database"], user["name"]) for user in self.module.params["users"]}
        strangers = [
            f"{user['db']}.{user['user']} ({', '.join(role['role'] + ' in ' + role['db'] for role in user['roles'])})"
            for user in self.client.admin.command("usersInfo", {"forAllDBs": True})["users"]
            if (user["db"], user["user"]) not in known
        ]
        if strangers:
            self.module.warn(
                f"MongoDB has users that mongodb_users does not name: {'; '.join(sorted(strangers))}."
                " Drop those that nobody needs, by dropUser."
            )


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 27017},
            "members": {"type": "list", "elements": "str", "required": True},
            "keyfile": {"type": "str", "required": True, "no_log": True},
            "admin_password": {"type": "str", "required": True, "no_log": True},
            "users": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                    "database": {"type": "str", "required": True},
                    "roles": {"type": "list", "elements": "raw", "required": True},
                },
            },
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    if MongoClient is None:
        if module.check_mode:
            module.exit_json(changed=True, actions=["found the set"])
        module.fail_json(msg=missing_required_lib("pymongo"))

    replica_set = ReplicaSet(module)
    try:
        if replica_set.found() and replica_set.open():
            replica_set.align_members()
            replica_set.align_users()
    except PyMongoError as error:
        replica_set.fail(f"{replica_set.primary or replica_set.local} did not do what it was asked: {error}")
    actions = replica_set.actions
    module.exit_json(changed=bool(actions), actions=actions, primary=replica_set.primary)


if __name__ == "__main__":
    main()
