"""MongoDB as a client meets it: a replica set of three with authentication, which is broken and run again."""

import json
import re
import subprocess
from contextlib import contextmanager
from urllib.parse import quote_plus
from uuid import uuid4

import pytest
from support import eventually

NAMES = ("mongo1", "mongo2", "mongo3")
CANARY = "CanaryInTheCoalMine"
AWKWARD = "% $\"'\\:/@#?&+ü€"

PROLOGUE = """
import json, subprocess, sys, time
from pathlib import Path
from bson import ObjectId
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.errors import OperationFailure, PyMongoError
globals().update(json.loads(sys.argv[1]))
"""

# Write one document after another through the set, and ask the members how they are in between, until told to stop.
# A write that waits for the majority when the primary hands over is interrupted, which PyMongo 3.11.0, Debian 12's,
# does not send again as later drivers do; one that is just beginning may be refused, which no driver sends again.
WRITER = """
moves = MongoClient(url).games.get_collection("moves", write_concern=WriteConcern("majority"))
members = [MongoClient(address, directConnection=True, serverSelectionTimeoutMS=300) for address in addresses]

def is_well(member):
    try:
        answer = member.admin.command("hello")
        return answer["isWritablePrimary"] or answer["secondary"]
    except PyMongoError:
        return False

def write(document):
    try:
        moves.insert_one(document)
    except OperationFailure:
        moves.replace_one(document, document, upsert=True)

written, lost, fewest = [], [], len(members)
while not Path("/tmp/stop").exists():
    fewest = min(fewest, sum(map(is_well, members)))
    document = {"_id": ObjectId()}
    try:
        write(document)
        written.append(document["_id"])
    except PyMongoError as error:
        lost.append(str(error))
    time.sleep(0.05)
found = moves.count_documents({"_id": {"$in": written}})
print(json.dumps({"written": len(written), "found": found, "lost": lost, "fewest": fewest}))
"""

# Have a majority acknowledge a transaction and a large write, and kill the mongod of this host in the same moment.
ACKNOWLEDGED = """
client = MongoClient(url)
majority = WriteConcern("majority")
scores = client.games.get_collection("scores", write_concern=majority)
with client.start_session() as session, session.start_transaction(write_concern=majority):
    for collection in (scores, client.games.players):
        collection.insert_one({"batch": batch}, session=session)
scores.insert_many([{"batch": batch, "text": "x" * 500} for _ in range(20000)])
subprocess.run(["systemctl", "kill", "--signal=KILL", "mongod"], check=True)
print(json.dumps({"batch": batch, "written": 20002}))
"""

CHANGED_BY_HAND = """
admin = MongoClient(url).admin
admin.command("createUser", "backdoor", pwd="backdoor", roles=["root"])
admin.client.games.command("grantRolesToUser", "site", roles=["dbOwner"])
config = admin.command("replSetGetConfig")["config"]
primary = admin.command("hello")["me"]
for member in config["members"]:
    if member["host"] == primary:
        member.update(priority=5)
    elif member["host"] == hidden:
        member.update(votes=0, priority=0, hidden=True, secondaryDelaySecs=3600)
config.update(version=config["version"] + 1, writeConcernMajorityJournalDefault=False)
admin.command("replSetReconfig", config)
print(json.dumps("done"))
"""


def user(password, *roles):
    """Return the application's user with another password or other roles."""
    return {"name": "site", "password": password, "database": "games", "roles": list(roles) or ["readWrite"]}


class ReplicaSet:
    """The set, asked from inside the scenario's hosts."""

    def __init__(self, hosts, variables, move):
        self.hosts = hosts
        self.move = move
        self.address = {name: variables(name, "address") for name in NAMES}
        self.accounts = {user["name"]: user for user in variables("mongo1", "mongodb_users")}
        self.accounts["admin"] = {"database": "admin", "password": variables("mongo1", "mongodb_admin_password")}

    def python(self, program, *, on="mongo1", **values):
        """Run a Python program on a host, with the values as its variables, and return what it prints as JSON."""
        return json.loads(self.hosts[on].check_output("python3 -c %s %s", PROLOGUE + program, json.dumps(values)))

    def url(self, user="site", *, password=None, database=None, at=None):
        """Return the URL by which a user reaches the set, or one member of it."""
        account = self.accounts[user]
        login = f"{user}:{quote_plus(password or account['password'])}"
        members = f"{','.join(self.address.values())}/?replicaSet=rs0"
        if at:
            members = f"{self.address[at]}/?directConnection=true"
        return f"mongodb://{login}@{members}&authSource={database or account['database']}"

    def attempt(self, url, action, *, on="mongo1"):
        """Return what MongoDB says to an action on the client: done, or the name of its refusal."""
        program = f"""
client = MongoClient(url, serverSelectionTimeoutMS=30000)
try:
    {action}
    print(json.dumps("done"))
except OperationFailure as error:
    print(json.dumps(error.details["codeName"]))
"""
        return self.python(program, url=url, on=on)

    def write(self, on="mongo1"):
        """Write to the set as the application does."""
        return self.attempt(self.url(), 'client.games.players.insert_one({"name": "uno"})', on=on)

    def administer(self, command, *, at=None, on="mongo1"):
        """Return the answer to a command of the administrator."""
        program = "print(json.dumps(MongoClient(url).admin.command(command), default=str))"
        return self.python(program, url=self.url("admin", at=at), command=command, on=on)

    def primary(self, on="mongo1"):
        """Return the name of the primary's host, once there is one."""
        address = self.administer("hello", on=on)["me"].split(":")[0]
        return next(name for name in NAMES if self.address[name] == address)

    def secondary(self):
        """Return the name of a secondary's host."""
        primary = self.primary()
        return next(name for name in NAMES if name != primary)

    def members(self, on="mongo1"):
        """Return the names of the hosts that the set consists of, each of which votes and can be elected."""
        config = self.administer("replSetGetConfig", on=on)["config"]
        hosts = {member["host"].split(":")[0] for member in config["members"] if member["votes"] and member["priority"]}
        return {name for name in NAMES if self.address[name] in hosts}

    def write_and_kill(self, name):
        """Have a host write to the set, and kill its member at once; return what a majority acknowledged."""
        return self.python(ACKNOWLEDGED, url=self.url(), batch=uuid4().hex, on=name)

    def has(self, acknowledged, at):
        """Whether a member has all that a majority acknowledged."""
        program = """
games = MongoClient(url).get_database("games", read_preference=ReadPreference.SECONDARY_PREFERRED)
print(json.dumps(sum(games[name].count_documents({"batch": batch}) for name in ("players", "scores")) == written))
"""
        return self.python(program, url=self.url(at=at), **acknowledged)

    @contextmanager
    def moved(self, name):
        """Give a host another address for as long as a block lasts; provide the variables that say so."""
        home = self.address[name]
        self.address[name] = home.rsplit(".", 1)[0] + ".14"
        self.move(name, self.address[name])
        try:
            yield {
                "mongodb_members": list(self.address.values()),
                "mongodb_address": f"{{{{ {json.dumps(self.address)}[inventory_hostname] }}}}",
            }
        finally:
            self.address[name] = home
            self.move(name, home)

    def cache(self, at):
        """Return the cache of a running mongod, in GiB."""
        return self.administer("serverStatus", at=at)["wiredTiger"]["cache"]["maximum bytes configured"] / 2**30


@pytest.fixture(scope="session")
def replica_set(hosts, variables, move):
    return ReplicaSet(hosts, variables, move)


def test_what_is_written_to_the_set_is_read_from_a_secondary(replica_set):
    program = """
games = MongoClient(url).games
written = games.with_options(write_concern=WriteConcern(3)).players.insert_one({"name": "dos"}).inserted_id
found = games.with_options(read_preference=ReadPreference.SECONDARY).players.find_one(written)
print(json.dumps(found["name"]))
"""
    assert replica_set.python(program, url=replica_set.url(), on="mongo3") == "dos"


def test_everybody_may_do_what_he_needs_and_no_more(replica_set):
    write = "client.games.players.insert_one({})"
    anonymous = f"mongodb://{replica_set.address['mongo1']}/?directConnection=true"
    attempts = {
        "site": (replica_set.url(), write),
        "a wrong password": (replica_set.url(password="guess"), write),
        "no password": (anonymous, "client.games.players.find_one()"),
        "another database": (replica_set.url(), "client.accounts.users.find_one()"),
        "the users": (replica_set.url(), 'client.games.command("usersInfo")'),
        "the set": (replica_set.url(), 'client.admin.command("replSetGetStatus")'),
        "watcher": (replica_set.url("watcher"), 'client.admin.command("replSetGetStatus")'),
        "watcher writes": (replica_set.url("watcher"), write),
        "admin reads": (replica_set.url("admin"), "client.games.players.find_one()"),
    }
    assert {who: replica_set.attempt(*attempt) for who, attempt in attempts.items()} == {
        "site": "done",
        "a wrong password": "AuthenticationFailed",
        "no password": "Unauthorized",
        "another database": "Unauthorized",
        "the users": "Unauthorized",
        "the set": "Unauthorized",
        "watcher": "done",
        "watcher writes": "Unauthorized",
        "admin reads": "Unauthorized",
    }


def test_listens_and_logs_where_it_is_told_to(host, variables):
    listening = host.check_output("ss --no-header --listening --numeric --tcp '( sport = 27017 )'").splitlines()
    sockets = sorted(line.split()[3] for line in listening)
    assert sockets == ["127.0.0.1:27017", f"{variables('mongo1', 'address')}:27017"]

    host.check_output("logrotate --force /etc/logrotate.d/mongodb")
    host.check_output("python3 -c 'from pymongo import MongoClient; MongoClient().admin.command(\"hello\")'")
    assert host.file("/var/log/mongodb/mongod.log").size > 0
    assert host.file("/etc/mongod.keyfile").mode == 0o400


def test_a_killed_primary_is_replaced_and_a_run_leaves_it_at_that(replica_set, run):
    before = replica_set.primary()
    acknowledged = replica_set.write_and_kill(before)
    assert replica_set.write() == "done"

    replica_set.hosts[before].check_output("timeout 60 sh -c 'until systemctl is-active mongod; do sleep 1; done'")
    after = replica_set.primary()
    again = run()
    assert again.ok, again.output
    assert not again.changed, again.output
    assert replica_set.primary() == after
    assert all(replica_set.has(acknowledged, at=name) for name in NAMES)


def test_what_a_majority_acknowledged_is_there_after_all_members_were_killed(replica_set, hosts):
    acknowledged = replica_set.write_and_kill(replica_set.primary())
    for host in hosts.values():
        host.check_output("systemctl kill --signal=KILL mongod")
    assert replica_set.write() == "done"
    for name in NAMES:
        eventually(lambda name=name: replica_set.has(acknowledged, at=name), what=f"{name} has all of it")


def test_a_run_with_a_host_down_ends_well_for_the_others(replica_set, run, variables, unplugged):
    visitor = {"name": "visitor", "password": "V1sitorVisits", "database": "games", "roles": ["read"]}
    replica_set.accounts["visitor"] = visitor
    with unplugged("mongo1"):
        reduced = run({"mongodb_users": [*variables("mongo1", "mongodb_users"), visitor]})
        assert re.search(r"^mongo1 .* unreachable=1 +failed=0", reduced.output, re.MULTILINE), reduced.output
        assert len(re.findall(r"^mongo[23] .* unreachable=0 +failed=0", reduced.output, re.MULTILINE)) == 2
        assert replica_set.write(on="mongo2") == "done"
    whole = run()
    assert whole.ok, whole.output
    assert replica_set.attempt(replica_set.url("visitor"), "client.games.players.find_one()") == "done"


FOUND = """
member = MongoClient("127.0.0.1", directConnection=True)
members = [{"_id": 0, "host": addresses[0], "priority": 1}]
members += [{"_id": number, "host": address, "priority": 0} for number, address in enumerate(addresses) if number]
for address in addresses:
    MongoClient(address, directConnection=True).admin.command("hello")
member.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
while administrator and not member.admin.command("hello")["isWritablePrimary"]:
    time.sleep(0.2)
if administrator:
    member.admin.command("createUser", "admin", pwd=administrator, roles=["clusterAdmin", "userAdminAnyDatabase"])
print(json.dumps("done"))
"""


@pytest.mark.parametrize("step", ["mongod runs", "the set is founded", "there is an administrator"])
def test_a_bootstrap_broken_off_is_completed_by_the_next_run(replica_set, hosts, run, step):
    for host in hosts.values():
        host.check_output("systemctl kill --signal=KILL mongod; systemctl stop mongod")
        host.check_output("find /var/lib/mongodb -mindepth 1 -delete && systemctl start mongod")
    if step != "mongod runs":
        administrator = replica_set.accounts["admin"]["password"] if step == "there is an administrator" else None
        addresses = [f"{address}:27017" for address in replica_set.address.values()]
        replica_set.python(FOUND, addresses=addresses, administrator=administrator)

    done = run()
    assert done.ok, done.output
    assert replica_set.members() == set(NAMES)
    assert replica_set.write() == "done"


def test_a_restart_that_a_killed_run_owes_is_made_one_member_at_a_time(replica_set, hosts, variables, converge):
    primary = replica_set.primary()
    assert converge({"mongodb_cache_size": 0.5}, crash_after="Configure mongod").killed
    assert {replica_set.cache(at=name) for name in NAMES} == {variables("mongo1", "mongodb_cache_size")}

    hosts["mongo1"].check_output("rm -f /tmp/stop")
    values = json.dumps({"url": replica_set.url(), "addresses": list(replica_set.address.values())})
    container = hosts["mongo1"].backend.name
    writer = subprocess.Popen(
        ["docker", "exec", container, "python3", "-c", PROLOGUE + WRITER, values], stdout=subprocess.PIPE, text=True
    )
    run = converge({"mongodb_cache_size": 0.5})
    hosts["mongo1"].check_output("touch /tmp/stop")
    report = json.loads(writer.communicate(timeout=60)[0])

    assert run.ok, run.output
    assert {replica_set.cache(at=name) for name in NAMES} == {0.5}
    assert report["lost"] == []
    assert report["written"] == report["found"] > 0
    assert report["fewest"] == len(NAMES) - 1
    since = "systemctl show mongod --value --property ActiveEnterTimestampMonotonic"
    assert max(NAMES, key=lambda name: int(hosts[name].check_output(since))) == primary


def test_what_a_person_changed_by_hand_is_put_back_or_named(replica_set, hosts, run):
    config = replica_set.administer("replSetGetConfig")["config"]
    name = replica_set.secondary()
    hidden = f"{replica_set.address[name]}:27017"
    replica_set.python(CHANGED_BY_HAND, url=replica_set.url("admin"), hidden=hidden)
    host = hosts[name]
    host.check_output("systemctl stop mongod && chown --recursive root:root /var/lib/mongodb /var/log/mongodb")

    # What stands in the way of the start, only mongod's own log tells.
    host.check_output("mkdir /tmp/mongodb-27017.sock")
    failed = run(limit=name)
    host.check_output("rmdir /tmp/mongodb-27017.sock")
    assert not failed.ok
    assert "Failed to unlink socket file" in failed.message, failed.output

    done = run()
    assert done.ok, done.output
    assert "admin.backdoor (root in admin)" in done.message
    after = replica_set.administer("replSetGetConfig")["config"]
    for changing in ("version", "term"):
        del config[changing], after[changing]
    assert after == config
    site = replica_set.administer({"usersInfo": {"user": "site", "db": "games"}})["users"][0]
    assert site["roles"] == [{"role": "readWrite", "db": "games"}]
    assert replica_set.attempt(replica_set.url("admin"), 'client.admin.command("dropUser", "backdoor")') == "done"
    test_what_is_written_to_the_set_is_read_from_a_secondary(replica_set)


def test_a_setting_that_mongod_does_not_know_is_refused(replica_set, run):
    refused = run({"mongodb_settings": {"net": {"maxIncommingConnections": 100}}})
    assert not refused.ok
    assert "net.maxIncommingConnections" in refused.message
    assert not refused.changed
    assert replica_set.write() == "done"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("mongodb_members", ["{{ mongodb_address }}", "192.0.2.7"]),
        ("mongodb_admin_password", None),
        ("mongodb_admin_password", f"{CANARY}\a"),
        ("mongodb_keyfile", f"{CANARY}, not in base64"),
        ("mongodb_keyfile", f"{CANARY}OfNoMember"),
    ],
)
def test_a_bad_value_is_refused_and_no_secret_told(run, variable, value):
    refused = run({variable: value, "mongodb_users": [user(CANARY)]}, limit="mongo1", diff=True, verbosity=3)
    assert not refused.ok
    assert variable in refused.message
    assert not refused.changed
    assert CANARY not in refused.output


def test_an_archive_with_another_key_is_refused(host, run):
    key = host.file("/etc/apt/keyrings/mongodb-org-6.0.asc")
    before = key.content_string
    refused = run({"mongodb_archive_key_fingerprint": "0" * 40}, limit="mongo1")
    assert not refused.ok
    assert "mongodb_archive_key_fingerprint" in refused.message
    assert key.content_string == before


def test_new_passwords_are_taken_over_and_not_told(replica_set, hosts, converge):
    first, second = f"{CANARY}1 {AWKWARD}", f"{CANARY}2 {AWKWARD}"
    new = {"mongodb_admin_password": first, "mongodb_users": [user(second)]}
    run = converge(new, diff=True, verbosity=3)
    assert run.ok, run.output
    assert CANARY not in run.output
    reading = "client.games.players.find_one()"
    assert replica_set.attempt(replica_set.url(), reading) == "AuthenticationFailed"
    assert replica_set.attempt(replica_set.url(password=second), reading) == "done"
    assert replica_set.attempt(replica_set.url("admin"), 'client.admin.command("usersInfo")') == "AuthenticationFailed"

    run = converge(new | {"mongodb_users": [user(f"{CANARY}3 {AWKWARD}", "nobody")]}, diff=True, verbosity=3)
    assert not run.ok
    assert "nobody" in run.message
    assert CANARY not in run.output
    for host in hosts.values():
        assert CANARY not in host.file("/var/log/mongodb/mongod.log").content_string


def test_members_move_leave_and_join_as_the_variables_say(replica_set, hosts, run):
    stays = replica_set.secondary()
    moves = next(name for name in NAMES if name not in (stays, replica_set.primary()))
    # A restart of each that the set can only bear once it knows the new address.
    for host in hosts.values():
        host.check_output("touch /etc/mongod.conf")
    with replica_set.moved(moves) as variables:
        moved = run(variables)
        assert moved.ok, moved.output
        assert replica_set.members() == set(NAMES)
        assert len(replica_set.administer("replSetGetConfig")["config"]["members"]) == len(NAMES)
        assert replica_set.write() == "done"

        alone = run({"mongodb_members": [replica_set.address[stays]]}, limit=stays)
        assert alone.ok, alone.output
        assert replica_set.members(on=stays) == {stays}
        assert replica_set.write(on=stays) == "done"

    together = run()
    assert together.ok, together.output
    assert replica_set.members() == set(NAMES)
    test_what_is_written_to_the_set_is_read_from_a_secondary(replica_set)
