"""Redis as a client meets it: a primary, two replicas and their Sentinels, which are broken and run again."""

import json
import subprocess
import time
from contextlib import contextmanager

import pytest

NAMES = ("redis1", "redis2", "redis3")
CANARY = "CanaryInTheCoalMine"
PRINTABLE = r"""% $ " ' \ : / @ # ? & = ü €"""
FAILOVER_SECONDS = 30

PROLOGUE = """
import json, sys, time
from pathlib import Path
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel
globals().update(json.loads(sys.argv[1]))
"""

# The primary and a replica, as an application finds them: through the Sentinels.
CLIENT = """
login = {"username": user, "password": password, "socket_timeout": 1, "retry": Retry(NoBackoff(), 0)}
sentinel = Sentinel([(address, 26379) for address in addresses], sentinel_kwargs=login, **login)
primary, replica = sentinel.master_for("main"), sentinel.slave_for("main")
"""

# Write one value after another, and ask the members how they are in between, until told to stop.
WRITER = """
watcher = {"username": "watcher", "password": watchword, "socket_timeout": 0.3, "socket_connect_timeout": 0.3}
members = [Redis(address, **watcher) for address in addresses]

def is_well(member):
    try:
        answer = member.info("replication")
        return answer["role"] == "master" or answer["master_link_status"] == "up"
    except RedisError:
        return False

written, refused, fewest, last, longest = [], [], len(members), time.monotonic(), 0
while not Path("/tmp/stop").exists():
    fewest = min(fewest, sum(map(is_well, members)))
    number = len(written) + len(refused)
    try:
        primary.set(f"move{number}", number)
        written.append(number)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    except RedisError as error:
        refused.append(str(error))
    time.sleep(0.02)
found = sum(primary.get(f"move{number}") is not None for number in written)
primary.delete(*(f"move{number}" for number in written))
report = {"written": len(written), "found": found, "refused": refused, "fewest": fewest, "longest": longest}
print(json.dumps(report))
"""


class Members:
    """The members and their Sentinels, asked from inside the scenario's hosts."""

    def __init__(self, hosts, variables):
        self.hosts = hosts
        self.address = {name: variables(name, "address") for name in NAMES}
        self.passwords = {user["name"]: user["password"] for user in variables("redis1", "redis_users")}
        for user in ("admin", "replication", "sentinel"):
            self.passwords[user] = variables("redis1", f"redis_{user}_password")

    def values(self, user, password=None):
        """Return what a program of a client needs to know."""
        addresses = list(self.address.values())
        password = password or self.passwords[user]
        return {"user": user, "password": password, "addresses": addresses, "watchword": self.passwords["watcher"]}

    def python(self, program, *, on="redis1", **values):
        """Run a Python program on a host, with the values as its variables, and return what it prints as JSON."""
        return json.loads(self.hosts[on].check_output("python3 -c %s %s", PROLOGUE + program, json.dumps(values)))

    def client(self, action, *, user="celery", password=None, on="redis1"):
        """Return what an action of an application comes to, or what Redis says to it."""
        program = f"""{CLIENT}
try:
    print(json.dumps({action}))
except RedisError as error:
    print(json.dumps(str(error)))
"""
        return self.python(program, on=on, **self.values(user, password))

    def write(self, *, on="redis1"):
        """Write to the primary, as soon as there is one, and return the seconds until it was done."""
        program = f"""{CLIENT}
started = time.monotonic()
while time.monotonic() < started + 30:
    try:
        primary.set("score", 1)
        break
    except RedisError:
        time.sleep(0.1)
print(json.dumps(time.monotonic() - started))
"""
        return self.python(program, on=on, **self.values("celery"))

    def administer(self, name, *command, sentinel=False):
        """Return the answer of a member to a command of the administrator."""
        program = """
port = 26379 if sentinel else 6379
admin = Redis("127.0.0.1", port, username="admin", password=password, decode_responses=True)
print(json.dumps(admin.execute_command(*command)))
"""
        return self.python(program, on=name, command=command, sentinel=sentinel, password=self.passwords["admin"])

    def roles(self):
        """Return whom each member follows: "" for the primary itself, and None for one that doesn't answer."""
        name_of = {address: name for name, address in self.address.items()}

        def followed(name):
            try:
                answer = self.administer(name, "ROLE")
            except AssertionError:
                return None
            return name_of[answer[1]] if answer[0] == "slave" else ""

        return {name: followed(name) for name in NAMES}

    def primary(self, on="redis1"):
        """Return the name of the primary's host."""
        address = self.client('sentinel.discover_master("main")[0]', on=on)
        return next(name for name in NAMES if self.address[name] == address)

    def replicas(self):
        """Return the names of the hosts that are not the primary's."""
        primary = self.primary()
        return [name for name in NAMES if name != primary]

    def all_follow(self, primary):
        """Whether the one is the primary and all others follow it."""
        return self.roles() == {name: "" if name == primary else primary for name in NAMES}

    def state(self):
        """Return what Redis and Sentinel remember over a restart."""
        command = "cat /var/lib/redis/redis.conf /var/lib/redis/sentinel.conf"
        return {name: self.hosts[name].check_output(command) for name in NAMES}

    def lasting_state(self):
        """Return the state once Sentinel has nothing more to write down."""
        while True:
            state = self.state()
            time.sleep(3)
            if self.state() == state:
                return state

    def settles(self, condition, seconds=60):
        """Whether the condition becomes true in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True

    @contextmanager
    def under_writes(self, report, **values):
        """Write all the while, and put into the report what became of it."""
        self.hosts["redis1"].check_output("rm -f /tmp/stop")
        values = json.dumps(self.values("celery") | values)
        container = self.hosts["redis1"].backend.name
        command = ["docker", "exec", container, "python3", "-c", PROLOGUE + CLIENT + WRITER, values]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            yield
        finally:
            self.hosts["redis1"].check_output("touch /tmp/stop")
            report |= json.loads(writer.communicate(timeout=60)[0])


@pytest.fixture(scope="session")
def members(hosts, variables):
    return Members(hosts, variables)


def test_what_is_written_to_the_primary_is_read_from_a_replica(members):
    action = '[primary.set("game", "uno"), primary.wait(2, 5000), replica.get("game").decode()]'
    assert members.client(action, on="redis3") == [True, 2, "uno"]


ATTEMPTS = """
said = {}
for who, user, password, port, address, command in attempts:
    client = Redis(address, port, username=user, password=password, socket_timeout=2, decode_responses=True)
    try:
        said[who] = str(client.execute_command(*command))
    except RedisError as error:
        said[who] = str(error)
print(json.dumps(said))
"""


NOBODY_MAY = {
    6379: (
        ["PING"],
        ["GET", "celery"],
        ["EVAL", "return 1", "0"],
        ["MULTI"],
        ["PSYNC", "?", "-1"],
        ["CONFIG", "GET", "*"],
    ),
    26379: (["PING"], ["SENTINEL", "MASTERS"], ["ACL", "WHOAMI"]),
}


def test_everybody_may_do_what_he_needs_and_no_more(members):
    primary = members.primary()
    ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]
    permitted = {
        "celery writes": ("celery", 6379, ["SET", "celery", "1"]),
        "celery asks": ("celery", 26379, ask),
        "watcher looks": ("watcher", 6379, ["PING"]),
        "watcher asks": ("watcher", 26379, ask),
        "admin": ("admin", 6379, ["CONFIG", "GET", "appendonly"]),
        "admin asks": ("admin", 26379, ask),
    }
    denied = {
        "celery flushes": ("celery", 6379, ["FLUSHALL"]),
        "celery configures": ("celery", 6379, ["CONFIG", "GET", "masterauth"]),
        "celery fails over": ("celery", 26379, ["SENTINEL", "FAILOVER", "main"]),
        "celery configures Sentinel": ("celery", 26379, ["SENTINEL", "CONFIG", "GET", "*"]),
        "watcher writes": ("watcher", 6379, ["SET", "watcher", "1"]),
        "replication reads": ("replication", 6379, ["GET", "celery"]),
        "sentinel reads": ("sentinel", 6379, ["GET", "celery"]),
    }
    attempts = [
        (who, user, members.passwords[user], port, members.address[primary], command)
        for who, (user, port, command) in (permitted | denied).items()
    ]
    for port in (6379, 26379):
        for address in ("127.0.0.1", members.address[primary]):
            for command in NOBODY_MAY[port]:
                attempts.append((f"nobody sends {command} to {address}:{port}", None, None, port, address, command))
            attempts.append((f"a default password at {address}:{port}", None, "guess", port, address, ["PING"]))
            attempts.append((f"default at {address}:{port}", "default", "guess", port, address, ["PING"]))
            for user in members.passwords:
                attempts.append((f"{user} guesses at {address}:{port}", user, "guess", port, address, ["PING"]))

    said = members.python(ATTEMPTS, attempts=attempts, on=primary)
    wrong = {who: answer for who, answer in said.items() if who in permitted and ("ERR" in answer or "perm" in answer)}
    assert not wrong
    assert [who for who in denied if "no permissions" not in said[who]] == []
    refusals = ("Authentication required", "invalid username-password pair", "WRONGPASS")
    strangers = said.keys() - permitted.keys() - denied.keys()
    assert len(strangers) == 4 * (len(members.passwords) + 2) + 2 * sum(map(len, NOBODY_MAY.values()))
    assert [said[who] for who in strangers if not said[who].startswith(refusals)] == []


def test_listens_and_keeps_its_data_as_it_is_told_to(host, members, variables):
    command = "ss --no-header --listening --numeric --tcp '( sport = 6379 or sport = 26379 )'"
    sockets = sorted(line.split()[3] for line in host.check_output(command).splitlines())
    address = variables("redis1", "address")
    assert sockets == ["127.0.0.1:26379", "127.0.0.1:6379", f"{address}:26379", f"{address}:6379"]

    names = ("appendonly", "maxmemory", "maxmemory-policy", "min-replicas-to-write")
    assert [members.administer("redis1", "CONFIG", "GET", name)[1] for name in names] == [
        "yes",
        str(variables("redis1", "redis_max_memory") * 2**20),
        "noeviction",
        "1",
    ]
    with pytest.raises(AssertionError):
        host.check_output("setpriv --reuid=nobody --clear-groups cat /etc/redis/redis-users.conf")
    assert host.file("/etc/redis/admin-password").mode == 0o600


def test_a_dead_primary_is_replaced_and_a_run_leaves_it_at_that(members, run, unplugged):
    before = members.primary()
    witness = members.replicas()[0]
    with unplugged(before):
        assert members.write(on=witness) < FAILOVER_SECONDS
    # Not asked of the Sentinels: the one that was dead still tells of the old primary for a moment.
    assert members.settles(lambda: members.roles()[before]), members.roles()
    after = members.roles()[before]
    assert after != before
    assert members.settles(lambda: members.all_follow(after)), members.roles()

    state = members.lasting_state()
    again = run()
    assert again.ok, again.output
    assert not again.changed, again.output
    assert members.primary() == after
    assert members.state() == state


def test_a_primary_that_moves_to_another_address_is_followed_by_one_run(members, move, run):
    name = members.primary()
    home = members.address[name]
    members.address[name] = home.rsplit(".", 1)[0] + ".14"
    move(name, members.address[name])
    try:
        followed = run(
            {
                "redis_members": list(members.address.values()),
                "redis_address": f"{{{{ {json.dumps(members.address)}[inventory_hostname] }}}}",
            }
        )
        assert followed.ok, followed.output
        assert members.all_follow(members.primary())
        assert members.client("primary.wait(2, 5000)") == 2
    finally:
        members.address[name] = home
        move(name, home)
    back = run()
    assert back.ok, back.output
    assert members.settles(lambda: members.all_follow(members.primary())), members.roles()


# The largest things that Redis does at once, before and while the files are rewritten. They end up in all files.
WORK = """
def work(name):
    for transaction in (True, False):
        with primary.pipeline(transaction=transaction) as pipeline:
            for number in range(size):
                pipeline.set(f"{name}:{transaction}:{number}", number)
            pipeline.execute()
    primary.eval("for n = 1, ARGV[2] do redis.call('SET', ARGV[1] .. ':script:' .. n, n) end", 0, name, size)
    fill = "local function fill(_, a) for n = 1, a[2] do redis.call('SET', a[1] .. ':function:' .. n, n) end end"
    library = ["#!lua name=filler", fill, "redis.register_function('fill', fill)"]
    primary.execute_command("FUNCTION", "LOAD", "REPLACE", chr(10).join(library))
    primary.execute_command("FCALL", "fill", 0, name, size)

members = [Redis(address, username="admin", password=admin_password) for address in addresses]
work("early")
for member in members:
    try:
        member.bgrewriteaof()
    except RedisError as error:
        assert "in progress" in str(error)
work("late")
acknowledged = primary.wait(2, 5000)
while any(member.info("persistence")["aof_buffer_length"] for member in members):
    time.sleep(0.1)
print(json.dumps(acknowledged))
"""

# How much of it each member has.
LEFT = """
def left(address, name):
    return sum(1 for _ in Redis(address, **login).scan_iter(f"{name}:*", count=1000))

print(json.dumps([[left(address, name) for name in ("early", "late")] for address in addresses]))
"""


def test_what_was_acknowledged_outlives_that_all_members_are_killed_at_once(members, hosts):
    before, size = members.primary(), 2000
    values = members.values("celery") | {"size": size, "admin_password": members.passwords["admin"]}
    assert members.python(CLIENT + WORK, **values) == 2
    for host in hosts.values():
        host.check_output("systemctl kill --signal KILL redis-server")

    # A primary that was killed comes back as a replica.
    assert members.settles(lambda: members.roles()[before]), members.roles()
    assert members.settles(lambda: members.client('[primary.set("score", 3), primary.wait(2, 5000)]') == [True, 2])
    assert members.python(CLIENT + LEFT, **values) == [[4 * size] * 2] * len(NAMES)


def test_writes_are_refused_while_no_replica_is_in_step(members):
    replicas = members.replicas()
    for name in replicas:
        members.hosts[name].check_output("systemctl stop redis-server")
    try:
        primary = f'Redis("{members.address[members.primary()]}", **login)'
        assert members.settles(lambda: "NOREPLICAS" in str(members.client(f'{primary}.set("score", 2)')))
    finally:
        for name in replicas:
            members.hosts[name].check_output("systemctl start redis-server")
    assert members.write() < FAILOVER_SECONDS


# As a new machine is: without packages, settings and data.
RAZE = """
systemctl stop redis-server redis-sentinel
apt-get purge --yes redis-server redis-sentinel redis-tools python3-redis
rm -rf /var/lib/redis /var/log/redis /etc/redis /etc/systemd/system/redis-*.service.d/settings.conf
systemctl daemon-reload
"""


def change_by_hand(members, name):
    """Let somebody in, and switch off what protects the data, on a running Redis and its Sentinel."""
    for sentinel in (False, True):
        for who in ("default on >guess ~* +@all", "celery +@all", "intruder on nopass ~* +@all"):
            members.administer(name, "ACL", "SETUSER", *who.split(), sentinel=sentinel)
    members.administer(name, "CONFIG", "SET", "min-replicas-to-write", "0")
    members.administer(name, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    members.administer(name, "SENTINEL", "SET", "main", "parallel-syncs", "9", sentinel=True)


def as_it_runs(members, name):
    """Return the users of a running Redis and its Sentinel, and the settings that change_by_hand changes."""
    users = [members.administer(name, "ACL", "LIST", sentinel=sentinel) for sentinel in (False, True)]
    settings = [members.administer(name, "CONFIG", "GET", key) for key in ("min-replicas-to-write", "maxmemory-policy")]
    of_sentinel = members.administer(name, "SENTINEL", "MASTER", "main", sentinel=True)
    settings.append(of_sentinel[of_sentinel.index("parallel-syncs") + 1])
    return [{line.split()[1]: set(line.split()) for line in lines} for lines in users], settings


def test_a_rebuilt_primary_joins_the_new_one_and_what_was_changed_by_hand_is_put_back(members, hosts, run):
    assert members.client('primary.set("kept", "tres")')
    before = members.primary()
    witness = members.replicas()[0]
    configured = as_it_runs(members, witness)
    change_by_hand(members, witness)
    planned = run(check=True, limit=witness)
    assert planned.ok, planned.output
    assert planned.changed == {witness: 2}, planned.output
    assert as_it_runs(members, witness) != configured

    hosts[before].check_output(RAZE)
    # The Sentinels still call it the primary.
    rebuilt = run()
    assert rebuilt.ok, rebuilt.output
    assert as_it_runs(members, witness) == configured
    assert rebuilt.changed[witness] == 2, rebuilt.output
    after = members.primary(on=witness)
    assert after != before
    assert members.all_follow(after)
    assert members.client('[primary.get("kept").decode(), primary.wait(2, 5000)]', on=witness) == ["tres", 2]


def test_a_restart_that_a_killed_run_owes_is_made_one_member_at_a_time(members, hosts, run):
    def slow():
        return {members.administer(name, "CONFIG", "GET", "slowlog-max-len")[1] for name in NAMES}

    primary = members.primary()
    settings = {"redis_settings": {"slowlog-max-len": 77}}
    assert run(settings, crash_after="Write Redis's settings").killed
    assert slow() == {"128"}

    report = {}
    with members.under_writes(report):
        restarted = run(settings)
    assert restarted.ok, restarted.output
    assert slow() == {"77"}
    assert report["written"] == report["found"] > 0
    assert report["fewest"] == len(NAMES) - 1
    assert report["longest"] < FAILOVER_SECONDS
    since = "systemctl show redis-server --value --property ActiveEnterTimestampMonotonic"
    assert max(NAMES, key=lambda name: int(hosts[name].check_output(since))) == primary
    assert members.primary() != primary

    # What Redis wrote into its own file at the handing over does not come back.
    back = run()
    assert back.ok, back.output
    assert slow() == {"128"}


def test_new_passwords_are_taken_over_without_a_restart_and_not_told(members, hosts, converge, variables):
    def processes():
        return {name: hosts[name].check_output("systemctl show redis-server --value -p MainPID") for name in NAMES}

    before = processes()
    password = {user: f"{CANARY} {PRINTABLE} {user}" for user in members.passwords}
    users = [user | {"password": password[user["name"]]} for user in variables("redis1", "redis_users")]
    new = {f"redis_{user}_password": password[user] for user in ("admin", "replication", "sentinel")}
    report = {}
    with members.under_writes(report):
        run = converge(new | {"redis_users": users[:1]}, diff=True, verbosity=3)
    assert run.ok, run.output
    assert CANARY not in run.output
    assert [name for name in NAMES if CANARY in hosts[name].check_output("journalctl --no-pager --boot")] == []
    assert processes() == before
    assert report["written"] == report["found"] > 0
    assert report["refused"] == []

    assert "WRONGPASS" in members.client('primary.get("game")') or "invalid" in members.client('primary.get("game")')
    assert members.client('primary.get("game").decode()', password=password["celery"]) == "uno"
    # The links and the Sentinels live on the new ones.
    assert members.client("primary.wait(2, 5000)", password=password["celery"]) == 2


def test_two_running_primaries_are_named(members, hosts, run):
    primary, replica = members.primary(), members.replicas()[0]
    for host in hosts.values():
        host.check_output("systemctl stop redis-sentinel")
    try:
        members.administer(replica, "REPLICAOF", "NO", "ONE")
        refused = run({"redis_timeout": 5}, limit="redis1")
        assert not refused.ok
        assert members.address[primary] in refused.message
        assert members.address[replica] in refused.message
        assert "There are 2 primaries" in refused.message
        assert not refused.changed
    finally:
        members.administer(replica, "REPLICAOF", members.address[primary], "6379")
        for host in hosts.values():
            host.check_output("systemctl start redis-sentinel")


OWN_FIRST = "{{ [redis_address, twin_prefix ~ '.11', twin_prefix ~ '.12', twin_prefix ~ '.13'] | unique }}"


def user(rules):
    """Return the application's user with other rights and another password."""
    return [{"name": "celery", "password": CANARY, "rules": rules}]


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("redis_members", OWN_FIRST, "redis_members must be the same on all members"),
        ("redis_admin_password", "", "redis_admin_password"),
        ("redis_users", user("~* +@all >open"), "redis_users"),
        ("redis_users", user("~* +@cellery"), "The rules of celery, one of redis_users, are not Redis's"),
        ("redis_settings", {"maxmemry": "1gb"}, ">>> 'maxmemry 1gb'"),
        ("redis_sentinel_settings", {"down-after-seconds": 5}, ">>> 'sentinel down-after-seconds main 5'"),
    ],
)
def test_a_bad_value_is_refused_and_no_secret_told(members, run, variable, value, complaint):
    state = members.state()
    refused = run({"redis_users": user("~* +@all"), variable: value}, limit="redis1", diff=True, verbosity=3)
    assert not refused.ok
    assert complaint in refused.message
    assert not refused.changed
    assert CANARY not in refused.output
    assert members.state() == state


def test_a_set_of_one_grows_and_a_bootstrap_broken_off_is_completed(members, hosts, run):
    for host in hosts.values():
        host.check_output("systemctl stop redis-server redis-sentinel; find /var/lib/redis -mindepth 1 -delete")
    alone = run({"redis_members": [members.address["redis1"]]}, limit="redis1")
    assert alone.ok, alone.output
    assert members.client('primary.set("kept", "solo")') is True

    # One has been told whom to follow, and the other not.
    hosts["redis2"].check_output("echo replicaof %s 6379 > /var/lib/redis/redis.conf", members.address["redis1"])
    together = run()
    assert together.ok, together.output
    assert members.all_follow(members.primary())
    assert members.client('[replica.get("kept").decode(), primary.wait(2, 5000)]') == ["solo", 2]
