"""Solr as a client meets it: a leader and a follower with authentication, which are broken and run again."""

import hashlib
import json
import re
import subprocess
import tarfile
import time

import pytest
from support import eventually

LEADER, FOLLOWER = "solr1", "solr2"
CANARY = "CanaryInTheCoalMine"
# What means something to a shell, a URL, JSON, XML, Python or Solr, or has no place in ASCII or Latin-1.
ODD = CANARY + """% $ ${x} " ' \\ : / @ # ? & < ü€"""
VERSION, OLDER = "9.10.1", "9.9.0"

# Send the requests one after the other; print the status and what was said of each.
CLIENT = """
import base64, json, sys, urllib.request
from urllib.error import HTTPError
for url, login, body in json.loads(sys.argv[1]):
    headers = {"Content-Type": "application/json"}
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    request = urllib.request.Request(url, data=body.encode() if body else None, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            print(json.dumps([answer.status, answer.read().decode()]))
    except HTTPError as error:
        print(json.dumps([error.code, error.read().decode()]))
    except OSError as error:
        print(json.dumps([0, str(error)]))
"""

# Search on one host after the other until one answers, over and over, until told to stop.
SEARCHER = """
import base64, json, sys, time, urllib.request
from pathlib import Path
urls, login = json.loads(sys.argv[1])
headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
searches, lost, found = 0, 0, set()
while not Path("/tmp/stop").exists():
    searches += 1
    for url in urls:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=2) as answer:
                found.add(json.load(answer)["response"]["numFound"])
                break
        except OSError:
            pass
    else:
        lost += 1
    time.sleep(0.05)
print(json.dumps({"searches": searches, "lost": lost, "found": sorted(found)}))
"""


class Search:
    """The core, asked from inside the scenario's hosts."""

    def __init__(self, hosts, variables):
        self.hosts = hosts
        self.passwords = {"admin": variables(LEADER, "solr_admin_password")}
        self.passwords["replication"] = variables(LEADER, "solr_replication_password")
        self.passwords |= {user["name"]: user["password"] for user in variables(LEADER, "solr_users")}
        self.url = {name: f"http://{variables(name, 'address')}:8983/solr" for name in hosts}

    def login(self, user):
        """Return the user's name and password."""
        return f"{user}:{self.passwords[user]}" if user in self.passwords else user

    def send(self, *requests, on=FOLLOWER):
        """Send requests of a URL, a user and a body; return the status and the text of each answer."""
        requests = [[url, self.login(user), body] for url, user, body in requests]
        lines = self.hosts[on].check_output("python3 -c %s %s", CLIENT, json.dumps(requests)).splitlines()
        return [json.loads(line) for line in lines]

    def ask(self, name, path, user="admin", body=None):
        """Return what a host says, as JSON."""
        status, text = self.send((f"{self.url[name]}/{path}", user, body), on=name)[0]
        assert status == 200, text
        return json.loads(text)

    def add(self, slug, title, name=LEADER):
        """Add a game as the application does."""
        self.ask(name, "games/update?commitWithin=100", "site", json.dumps([{"slug": slug, "title": title}]))

    def wait(self, name, status=200):
        """Wait until the core of a host answers."""
        ping = (f"{self.url[name]}/games/admin/ping", "", None)
        eventually(lambda: self.send(ping, on=name)[0][0] == status, 60, f"the core of {name} answers {status}")

    def find(self, words, name, user="site"):
        """Return the games that a host finds."""
        answer = self.ask(name, f"games/select?rows=1000&fl=slug&q={words}", user)
        return {game["slug"] for game in answer["response"]["docs"]}

    def finds(self, words, slug, name, seconds=60):
        """Whether a host finds the game within the time."""
        until = time.monotonic() + seconds
        while slug not in self.find(words, name):
            if time.monotonic() > until:
                return False
            time.sleep(0.2)
        return True

    def version(self, name):
        """Return the version of Solr that runs."""
        return self.ask(name, "admin/info/system")["lucene"]["solr-spec-version"]

    def heap(self, name):
        """Return the heap of a running Solr, in MiB."""
        return self.ask(name, "admin/info/system")["jvm"]["memory"]["raw"]["max"] // 2**20

    def damage(self, name, pattern, command):
        """Have a shell command damage the newest file of the index that fits the pattern: $file, of $size bytes."""
        index = self.ask(name, "admin/cores?action=STATUS&core=games")["status"]["games"]["index"]
        folder = re.search(r"@(/[^ )]+)", index["directory"])[1]
        find = f"file=$(ls --sort=time {folder}/{pattern} | head -n 1) && size=$(stat --format %s $file)"
        self.hosts[name].check_output(f"{find} && {command}")

    def wipe(self, name, *paths):
        """Make the host blank, as far as Solr is concerned."""
        paths = paths or ("/var/solr", "/etc/solr", "/etc/default/solr.in.sh", "/opt/solr", "/opt/solr-*")
        self.hosts[name].check_output(f"systemctl stop solr && rm -rf {' '.join(paths)}")


@pytest.fixture(scope="session")
def search(hosts, variables):
    return Search(hosts, variables)


@pytest.fixture
def games(search):
    """Two games that all hosts find."""
    search.add("uno", "The Uno")
    search.add("wizards", "Settlers and Wizards")
    assert search.finds("uno", "uno", FOLLOWER)
    assert search.finds("wizards", "wizards", FOLLOWER)
    return search.find("*:*", LEADER)


def test_what_the_leader_indexes_the_follower_finds_within_seconds(search):
    search.add("dos", "Dos Amigos")
    assert search.finds("amigos", "dos", FOLLOWER, seconds=20)


def test_everybody_may_do_what_he_needs_and_no_more(search):
    leader, add = search.url[LEADER], json.dumps([{"slug": "tres", "title": "Tres"}])
    paths = {
        "health": "admin/info/health",
        "ping": "games/admin/ping",
        "search": "games/select?q=*:*",
        "update": "games/update",
        "copy": "games/replication?command=indexversion",
        "fetch": "games/replication?command=fetchindex",
        "overlay": "games/config/overlay",
        "file": "games/admin/file?file=configoverlay.json",
        "schema": "games/schema",
        "stream": "games/stream?expr=random(games)",
        "cores": "admin/cores?action=STATUS",
        "create": "admin/cores?action=CREATE&name=other",
        "system": "admin/info/system",
        "users": "admin/authentication",
        "v2": "____v2/cores",
        "v2 schema": "____v2/cores/games/schema",
    }
    allowed = {
        "": {"health", "ping"},
        "site": {"health", "ping", "search", "update"},
        "replication": {"health", "ping", "copy", "fetch"},
        "watch": {"health", "ping", "search", "copy"},
        "site:guess": set(),
        "admin:": set(),
        "nobody:nothing": set(),
    }
    requests = [
        (f"{leader}/{path}", user, add if what == "update" else None)
        for user in allowed
        for what, path in paths.items()
    ]
    status = iter(search.send(*requests))
    done = {user: {what for what in paths if next(status)[0] not in (401, 403)} for user in allowed}
    assert done == allowed
    whole = [paths[what] for what in ("overlay", "users", "v2 schema")]
    assert [answer[0] for answer in search.send(*((f"{leader}/{path}", "admin", None) for path in whole))] == [200] * 3


def test_a_ping_says_whether_the_core_is_well_and_does_nothing_else(search, games):
    overlay = "file=configoverlay.json"
    requests = {
        "": None,
        "isShard=true&fl=*": None,
        f"isShard=true&qt=/admin/file&{overlay}": None,
        f"{overlay}&json=%7Bparams:%7BisShard:true,qt:%27/admin/file%27%7D%7D": None,
        "qt=/update&commit=true": json.dumps([{"slug": "intruder", "title": "The Intruder"}]),
    }
    ping = f"{search.url[LEADER]}/games/admin/ping"
    answers = search.send(*((f"{ping}?{query}", "", body) for query, body in requests.items()))
    assert answers[0][0] == 200
    assert not [text for _, text in answers if "The Uno" in text or search.passwords["replication"] in text]
    assert search.find("*:*", LEADER) == games


def test_nobody_changes_through_the_api_what_the_files_say(search):
    edits = {
        "admin/authentication": {"set-user": {"eve": "secret"}},
        "admin/authorization": {"set-permission": {"name": "read", "role": None}},
        "games/config": {"set-user-property": {"update.autoCreateFields": "true"}},
        "games/schema": {"add-field": {"name": "maker", "type": "string"}},
    }
    requests = [(f"{search.url[LEADER]}/{path}", "admin", json.dumps(edit)) for path, edit in edits.items()]
    assert [status >= 400 for status, _ in search.send(*requests)] == [True] * len(edits)
    assert search.send((f"{search.url[LEADER]}/games/select?q=*:*", "", None))[0][0] == 401


def test_listens_where_it_is_told_to_and_runs_as_its_own_user(search, hosts, variables):
    listening = hosts[LEADER].check_output("ss --no-header --listening --numeric --tcp '! src 127.0.0.11'").splitlines()
    assert [line.split()[3] for line in listening] == [f"{variables(LEADER, 'address')}:8983"]
    assert hosts[LEADER].check_output("ps -o user= -C java").split() == ["solr"]
    command = hosts[LEADER].check_output("ps -o args= -C java")
    assert not [password for password in search.passwords.values() if password in command]
    for path in ("/var/solr/data/security.json", "/var/solr/data/games/conf/configoverlay.json"):
        assert hosts[LEADER].file(path).mode == 0o640


def test_the_follower_answers_while_the_leader_is_dead(search, games, unplugged):
    with unplugged(LEADER):
        assert search.find("*:*", FOLLOWER) == games
    search.wait(LEADER)
    assert search.find("*:*", LEADER) == games
    search.add("back", "Back again")
    assert search.finds("back", "back", FOLLOWER)


@pytest.mark.parametrize(
    ("version", "unfit"),
    [("another-field", None), ("other-analysis", "title"), ("other-stopwords", "title")],
)
def test_changed_files_are_taken_over_without_a_restart_and_say_what_to_index_anew(search, games, run, version, unfit):
    started = search.hosts[LEADER].check_output("systemctl show --property ExecMainStartTimestamp solr")
    done = run({"solr_config_version": version}, limit=LEADER)
    assert done.ok, done.output
    assert done.changed
    assert ("until they are indexed anew: " in done.message) == bool(unfit)
    assert not unfit or f"until they are indexed anew: {unfit}." in done.message
    assert search.hosts[LEADER].check_output("systemctl show --property ExecMainStartTimestamp solr") == started
    assert search.find("*:*", LEADER) == games
    if version == "another-field":
        assert "maker" in [field["name"] for field in search.ask(LEADER, "games/schema/fields")["fields"]]


def test_files_that_solr_refuses_leave_the_old_ones_at_work(search, games, converge, run):
    assert converge(limit=LEADER).ok
    refused = run({"solr_config_version": "broken"}, limit=LEADER)
    assert not refused.ok
    assert "Unknown fieldType 'tetx'" in refused.message
    assert "goes on with those before" in refused.message
    assert search.ask(LEADER, "admin/cores?action=STATUS")["initFailures"] == {}
    assert search.find("*:*", LEADER) == games

    refused = run({"solr_config_version": "without-schema"}, limit=LEADER)
    assert "solr_config_path" in refused.message


def test_a_reload_that_a_killed_run_owes_is_made_good(search, run):
    conf = "/var/solr/data/games/conf"
    whole = run()
    assert whole.ok, whole.output
    # As if the run had been killed between the files and the reload: the files are right, the running core has others.
    leader = search.hosts[LEADER]
    leader.check_output(f"cp -a {conf} /tmp/conf && sed -i 's/fingerprint\": \"/&0/' {conf}/configoverlay.json")
    leader.check_output(f'sed -i \'s/name="title"/name="other"/\' {conf}/schema.xml')
    search.ask(LEADER, "admin/cores?action=RELOAD&core=games")
    leader.check_output(f"rm -r {conf} && mv /tmp/conf {conf}")
    again = run(limit=LEADER)
    assert again.ok, again.output
    assert again.changed == {LEADER: 1}
    assert "title" in [field["name"] for field in search.ask(LEADER, "games/schema/fields")["fields"]]


def test_a_copy_that_a_killed_run_began_is_finished_and_what_somebody_broke_is_put_back(search, games, run):
    search.ask(LEADER, "admin/cores?action=RENAME&core=games&other=games.joining")
    search.ask(LEADER, "games.joining/replication?command=disablereplication")
    search.ask(FOLLOWER, "games/replication?command=disablepoll")
    folder = "/var/solr/data/games"
    search.hosts[LEADER].check_output(f"chown -R root: {folder}/data {folder}/core.properties")
    done = run()
    assert done.ok, done.output
    search.add("seis", "Seis")
    assert search.finds("seis", "seis", FOLLOWER)
    assert search.find("*:*", LEADER) == search.find("*:*", FOLLOWER) == games | {"seis"}


def test_a_restart_that_a_killed_run_owes_is_made_good_with_new_passwords_that_are_not_told(search, games, converge):
    new = {
        "solr_admin_password": f"{ODD}1",
        "solr_replication_password": f"{ODD}2",
        "solr_users": [{"name": "site", "password": f"{ODD}3"}, {"name": "second", "password": f"{ODD}4"}],
        "solr_heap": 300,
    }
    assert converge(new, crash_after="Say who may do what").killed
    assert search.heap(LEADER) == 256
    done = converge(new, diff=True, verbosity=3)
    assert done.ok, done.output
    assert CANARY not in done.output

    requests = [(f"{search.url[LEADER]}/games/select?q=*:*", user, None) for user in ("site", f"second:{ODD}4")]
    assert [answer[0] for answer in search.send(*requests)] == [401, 200]
    old = dict(search.passwords)
    search.passwords |= {"admin": f"{ODD}1", "replication": f"{ODD}2", "site": f"{ODD}3"}
    try:
        assert search.heap(LEADER) == 300
        search.add("cuatro", "Cuatro")
        assert search.finds("cuatro", "cuatro", FOLLOWER)
    finally:
        search.passwords = old
    for host in search.hosts.values():
        assert host.run("cat /var/log/solr/*.log | grep -c %s", CANARY).stdout.strip() == "0"


def test_a_blank_leader_gets_the_index_from_a_follower_before_anybody_copies_it(search, games, run):
    search.wipe(LEADER)
    search.hosts[FOLLOWER].check_output("systemctl stop solr")
    alone = run({"solr_timeout": 10}, limit=LEADER)
    assert not alone.ok
    assert "can't be told whether another member has one" in alone.message
    assert search.send((f"{search.url[LEADER]}/games/select?q=*:*", "admin", None))[0][0] == 404

    search.hosts[FOLLOWER].check_output("systemctl start solr")
    search.wait(FOLLOWER)
    done = run(limit=LEADER)
    assert done.ok, done.output
    assert search.find("*:*", LEADER) == games
    search.add("cinco", "Cinco")
    assert search.finds("cinco", "cinco", FOLLOWER)
    assert search.find("*:*", FOLLOWER) == games | {"cinco"}


def test_a_blank_follower_has_the_index_when_the_run_ends(search, games, run):
    search.wipe(FOLLOWER)
    done = run(limit=FOLLOWER)
    assert done.ok, done.output
    assert search.find("*:*", FOLLOWER) == games


def test_a_leader_that_lost_its_data_does_not_cost_the_followers_theirs(search, games, run):
    search.wipe(LEADER, "/var/solr/data/games/data")
    search.hosts[LEADER].check_output("systemctl start solr")
    health = f"{search.url[LEADER]}/admin/info/health"
    eventually(lambda: search.send((health, "", None))[0][0] == 200, 60, "Solr answers again")
    time.sleep(2)
    assert search.find("*:*", FOLLOWER) == games
    done = run(limit=LEADER)
    assert done.ok, done.output
    assert search.find("*:*", LEADER) == games
    assert search.find("*:*", FOLLOWER) == games


def test_a_damaged_follower_is_unwell_until_a_run_copies_the_index_anew(search, games, run):
    search.damage(
        FOLLOWER, "*.fnm", "dd if=/dev/zero of=$file bs=1 seek=$((size / 2)) count=16 conv=notrunc status=none"
    )
    search.hosts[FOLLOWER].check_output("systemctl restart solr")
    search.wait(FOLLOWER, 500)
    assert search.find("*:*", LEADER) == games
    done = run(limit=FOLLOWER)
    assert done.ok, done.output
    assert "is damaged (org.apache.lucene.index.CorruptIndexException: " in done.message
    assert search.find("*:*", FOLLOWER) == games
    assert not search.hosts[FOLLOWER].file("/var/solr/data/games/data.damaged").exists


def test_a_damaged_leader_takes_the_index_of_a_follower(search, games, run, variables):
    search.damage(LEADER, "segments_*", "truncate --size $((size / 2)) $file")
    # Both runs restart Solr: what hosts it may talk to is another matter.
    alone = run({"solr_members": [variables(LEADER, "address")]}, limit=LEADER)
    assert not alone.ok
    assert "no other member has one to give" in alone.message
    assert search.find("*:*", FOLLOWER) == games

    done = run(limit=LEADER)
    assert done.ok, done.output
    assert "Its files are in /var/solr/data/games/data.damaged now" in done.message
    assert search.find("*:*", LEADER) == search.find("*:*", FOLLOWER) == games
    search.add("ocho", "Ocho")
    assert search.finds("ocho", "ocho", FOLLOWER)


def test_a_corrupted_tarball_is_refused_with_the_old_version_still_running(search, host, run):
    other = {"solr_version": OLDER, "solr_allow_jump": True, "solr_checksum": f"sha512:{'0' * 128}"}
    refused = run(other, limit=LEADER)
    assert not refused.ok
    assert "solr_checksum" in refused.message
    assert not host.file(f"/opt/solr-{OLDER}").exists
    assert search.version(LEADER) == VERSION


def test_an_upgrade_keeps_the_documents_and_searches_go_on(search, games, run):
    assert "solr_allow_jump" in run({"solr_version": OLDER}, limit=LEADER).message
    back = run({"solr_version": OLDER, "solr_allow_jump": True})
    assert back.ok, back.output
    assert {search.version(name) for name in search.hosts} == {OLDER}

    values = json.dumps([[f"{url}/games/select?q=*:*&rows=0" for url in search.url.values()], search.login("site")])
    watcher = search.hosts[LEADER]
    watcher.check_output("rm -f /tmp/stop")
    command = ["docker", "exec", watcher.backend.name, "python3", "-c", SEARCHER, values]
    searcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    done = run()
    watcher.check_output("touch /tmp/stop")
    report = json.loads(searcher.communicate(timeout=60)[0])
    assert done.ok, done.output
    assert {search.version(name) for name in search.hosts} == {VERSION}
    assert report == {"searches": report["searches"], "lost": 0, "found": [len(games)]}
    assert report["searches"] > 50
    assert {search.find("*:*", name) == games for name in search.hosts} == {True}


def test_a_version_that_does_not_run_is_taken_back(search, games, run, tmp_path):
    launcher = tmp_path / "solr"
    launcher.write_text(
        "#!/bin/sh\necho no life in this one >&2\necho nor any hope >> /var/log/solr/solr.log\nexit 1\n"
    )
    launcher.chmod(0o755)
    tarball = tmp_path / "solr.tgz"
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(launcher, "solr-9.99.0/bin/solr")
    checksum = f"sha512:{hashlib.sha512(tarball.read_bytes()).hexdigest()}"
    new = {"solr_version": "9.99.0", "solr_local_file": str(tarball), "solr_checksum": checksum}
    failed = run(new, limit=FOLLOWER)
    assert not failed.ok
    assert f"It was put back on {VERSION}" in failed.message
    assert "no life in this one" in failed.message
    assert "nor any hope" in failed.message
    search.wait(FOLLOWER)
    assert search.version(FOLLOWER) == VERSION
    assert search.find("*:*", FOLLOWER) == games


def test_a_java_that_is_too_old_is_refused(host, run):
    java = "/usr/lib/jvm/default-java"
    host.check_output(f"mv {java} {java}.kept && mkdir -p {java}/bin")
    host.check_output(f"printf '#!/bin/sh\\necho openjdk version \\\\\"1.8.0_392\\\\\" >&2\\n' > {java}/bin/java")
    host.check_output(f"chmod 0755 {java}/bin/java")
    try:
        refused = run(limit=LEADER)
    finally:
        host.check_output(f"rm -r {java} && mv {java}.kept {java}")
    assert not refused.ok
    assert "needs Java 11 or newer" in refused.message
    assert "is Java 8" in refused.message
    assert not refused.changed


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("solr_heap", 10_000_000),
        ("solr_admin_password", None),
        ("solr_users", [{"name": "admin", "password": CANARY}]),
        ("solr_users", [{"name": "site", "password": f"{CANARY} "}]),
    ],
)
def test_a_bad_value_is_refused_and_no_secret_told(run, variable, value):
    refused = run({"solr_users": [{"name": "site", "password": CANARY}], variable: value}, limit=LEADER, verbosity=3)
    assert not refused.ok
    assert variable in refused.message
    assert not refused.changed
    assert CANARY not in refused.output
