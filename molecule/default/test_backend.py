"""Search, queue and scheduled work, as visitors of the site meet them while parts of it die."""

import json
import re
import subprocess
import time
import uuid
from contextlib import ExitStack

import pytest
from people import FIGURES, Visitors, run_python
from support import docker, eventually, seconds_until

GAME = {
    "summary": "A game for a test.",
    "description": "Wait until it is found.",
    "categories": ["memory"],
    "min_age": 6,
    "min_players": 2,
    "max_players": 4,
    "minutes": 10,
    "year": 2020,
}

# Spoil the ratings of many games, and send a task for each that corrects it: what was lost is still wrong afterwards.
STREAM = """
import json, time
from games.models import Game
from games.queue import send
from games.tasks import refresh_game

slugs = list(Game.objects.order_by("slug").limit(COUNT).scalar("slug"))
Game.objects(slug__in=slugs).update(set__rating_count=WRONG, set__rating_sum=WRONG)
waits = []
for slug in slugs:
    started = time.monotonic()
    while not send(refresh_game, slug):
        assert time.monotonic() - started < 60, "no task is accepted for a minute"
        time.sleep(0.2)
    waits.append(time.monotonic() - started)
    time.sleep(0.02)
print(json.dumps({"acknowledged": len(waits), "longest": max(waits)}))
"""
LOST = """
from games.models import Game
print(*Game.objects(rating_count=WRONG).scalar("slug"))
"""
TASKS = 1000
WRONG = 77777

REFUSED = """
import base64, json, socket, sys, urllib.error, urllib.request

order = json.load(sys.stdin)

def redis(address, port, *lines):
    with socket.create_connection((address, port), timeout=5) as connection:
        connection.sendall("".join(f"{line}\\r\\n" for line in lines).encode())
        connection.shutdown(socket.SHUT_WR)
        return [line.split()[0] for line in connection.makefile().read().splitlines()]

def solr(address, port, path, login):
    headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
    request = urllib.request.Request(f"http://{address}:{port}{path}", headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code

said = {}
for name, port, address in order["redis"]:
    logins = ["AUTH guess", f"AUTH {order['user']} guess", "AUTH admin guess"]
    said[f"{name} {address}"] = redis(address, port, "PING", *logins, "PING")
for name, port, address in order["solr"]:
    for path in ("/solr/admin/cores", f"/solr/{order['core']}/select?q=*:*", "/solr/admin/info/system"):
        for login in (None, f"{order['user']}:guess", "admin:guess"):
            said[f"{name} {address} {path} {login}"] = solr(address, port, path, login)
print(json.dumps(said))
"""


def word():
    """Return a word that no game has."""
    return "q" + uuid.uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))


def shell(variables, program, server="web1"):
    """Run a program in the application's environment, as an operator does, and return what it prints."""
    for name, value in (("COUNT", TASKS), ("WRONG", WRONG)):
        program = program.replace(name, str(value))
    command = f"{variables(server, 'site_name')}-manage shell --no-imports --command".split()
    return docker("exec", variables(server, "ansible_host"), *command, program)


def redis_primaries(variables):
    """Return the hosts whose Redis says that it is the primary: one, but for a moment after a dead one came back."""
    password = variables("data1", "redis_admin_password")
    roles = {}
    for name in variables.groups["redis"]:
        command = ["redis-cli", "-h", variables(name, "address"), "--user", "admin", "role"]
        container = variables(name, "ansible_host")
        done = subprocess.run(
            ["docker", "exec", "--env", f"REDISCLI_AUTH={password}", container, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        roles[name] = done.stdout.split("\n")[0]
    return [name for name, role in roles.items() if role == "master"]


def state_files(hosts, variables):
    """Return the content of the files that Redis and Sentinel write themselves, once they have settled."""
    paths = [f"/var/lib/redis/{name}.conf" for name in ("redis", "sentinel")]

    def read():
        return {(name, path): hosts[name].file(path).content for name in variables.groups["redis"] for path in paths}

    def settled():
        before = read()
        time.sleep(12)
        return read() == before

    eventually(settled, 90, "the Sentinels write nothing any more")
    return read()


def test_a_game_that_a_visitor_adds_is_found_within_ten_seconds(site):
    name = word()
    answer = site.submit("/games/add/", GAME | {"title": f"The {name} game"})
    assert answer.status_code == 302, answer.text
    took = seconds_until(lambda: site.found(name) == 1, 10, "the new game is found")
    FIGURES.append(f"A new game is found after {took:.1f} s")
    # Both nodes know it, whichever is asked.
    eventually(lambda: name in site.get(f"/search/suggest/?q={name[:8]}").text, 10, "the new game is suggested")


def test_a_review_changes_the_rating_and_the_search_knows_it(site):
    name = word()
    page = site.submit("/games/add/", GAME | {"title": f"The {name} game"}).headers["Location"]
    site.submit(f"{page}review/", {"name": "Ada", "rating": 4, "text": f"We played {name} all day."})
    assert "4.0 out of 5" in site.get(page).text
    eventually(lambda: re.search(r"4\.0<span", site.get(f"/search/?q={name}").text), 20, "the index has the rating")


def test_a_push_during_a_deployment_does_not_part_the_search_schema_from_the_code(run, variables):
    repository = variables("web1", "twin_source")

    def git(*arguments):
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@games.example"]
        command = ["git", "-C", repository, *identity, *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    git("branch", "--force", "next", "main")
    pushed = git("commit-tree", "main^{tree}", "-p", "main", "-m", "What is pushed meanwhile")
    push = ("Give it to all that run it", f"git -C {repository} branch --force next {pushed}")
    try:
        done = run({"site_version": "next"}, playbook="playbooks/deploy.yml", during=push)
        assert git("rev-parse", "next") == pushed
    finally:
        git("branch", "--delete", "--force", "next")
    assert done.ok, done.output
    assert not done.changed, done.output


def test_search_goes_on_when_the_host_of_its_leader_dies(site, power, variables):
    leader = next(
        name for name in variables.groups["search"] if variables(name, "solr_members")[0] == variables(name, "address")
    )
    with Visitors(
        site, [f"/search/?q={query}" for query in ("card", "dice", "river", "night", "party", "team")]
    ) as visitors:
        visitors.read_more(100)
        power.off(leader)
        visitors.read_more(150)
    visitors.report(f"The host of Solr's leader, {leader}, killed")
    assert not visitors.failures


def test_without_search_the_rest_of_the_site_stays_up(site, stopped, variables, well):
    with ExitStack() as stack:
        for name in variables.groups["search"]:
            stack.enter_context(stopped(name, "solr"))
        answer = site.get("/search/?q=card")
        assert answer.status_code == 503
        assert "browse" in answer.text
        for path in ("/", "/games/?age=6&category=cards", "/week/"):
            assert site.get(path).status_code == 200
    well()


def test_an_import_whose_worker_is_killed_is_finished_by_the_other_and_counted_once(site, stopped, variables, well):
    name, count = word(), 3000
    games = [
        GAME | {"slug": f"{name}-{number}", "title": f"{name} {number}", "featured": False} for number in range(count)
    ]
    unit = variables("web1", "services")["celery_imports"]["unit"]
    with ExitStack() as killed:
        with stopped("web2", unit):
            answer = site.submit(
                "/import/",
                {"password": variables("web1", "site_import_password")},
                {"file": ("games.json", json.dumps(games))},
            )
            assert answer.status_code == 302, answer.text
            progress = answer.headers["Location"]
            done = r'value="(\d+)"'
            eventually(
                lambda: int((re.search(done, site.get(progress).text) or "00")[1]) > 0, 20, "the import has begun"
            )
            killed.enter_context(stopped("web1", unit, kill=True))
            assert 'data-state="running"' in site.get(progress).text
        took = seconds_until(lambda: 'data-state="done"' in site.get(progress).text, 120, "the other worker is done")
        FIGURES.append(f"An import whose worker was killed is finished by the other worker after {took:.0f} s")
        assert f"{count:,} games: {count:,} added, 0 changed" in site.get(progress).text
        eventually(lambda: site.found(name) == count, 20, "all games are found")
    well()


def test_no_task_is_lost_when_the_primary_of_redis_dies(site, hosts, power, run, variables):
    [primary] = redis_primaries(variables)
    shell_command = ["docker", "exec", variables("web1", "ansible_host")]
    stream = subprocess.Popen(
        [*shell_command, f"{variables('web1', 'site_name')}-manage", "shell", "--no-imports", "--command"]
        + [STREAM.replace("COUNT", str(TASKS)).replace("WRONG", str(WRONG))],
        stdout=subprocess.PIPE,
        text=True,
    )
    some = range(1, TASKS - 100)
    eventually(lambda: len(shell(variables, LOST, "web2").split()) in some, 60, "tasks are done, and others are sent")
    power.off(primary)
    report = json.loads(stream.communicate(timeout=300)[0])
    assert report["acknowledged"] == TASKS
    started = time.monotonic()
    while lost := shell(variables, LOST, "web2"):
        assert time.monotonic() < started + 240, f"not done: {lost}"
    took = time.monotonic() - started
    FIGURES.append(
        f"Redis's primary, {primary}, killed under {TASKS} tasks: 0 lost, the longest wait for a new one"
        f" {report['longest']:.1f} s, all done {took:.0f} s after the last"
    )
    [successor] = redis_primaries(variables)
    assert successor != primary

    power.on(primary)
    eventually(lambda: redis_primaries(variables) == [successor], 60, "the old primary has become a replica")
    files = state_files(hosts, variables)
    again = run()
    assert again.ok, again.output
    assert not again.changed, again.output
    assert redis_primaries(variables) == [successor]
    after = state_files(hosts, variables)
    assert not [where for where in files if files[where] != after[where]]


def test_scheduled_work_goes_on_with_either_beat_down(site, stopped, variables, well):
    def rebuilt():
        return re.search(r'<time datetime="([^"]+)"', site.get("/week/").text)[1]

    unit = variables("web1", "services")["celery_beat"]["unit"]
    for server in variables.groups["worker"]:
        with stopped(server, unit, kill=True):
            before = rebuilt()
            took = seconds_until(lambda before=before: rebuilt() > before, 90, "the games of the week are chosen again")
        FIGURES.append(f"Beat killed on {server}: the games of the week are chosen again after {took:.0f} s")
    well()


def test_wrong_passwords_are_refused_on_every_port(variables):
    services = variables("web1", "services")

    def ports(*names):
        return [
            (name, services[name]["port"], variables(host, "address"))
            for name in names
            for host in variables.groups[services[name]["group"]]
        ]

    said = run_python(
        variables("web1", "ansible_host"),
        REFUSED,
        redis=ports("redis", "redis_sentinel"),
        solr=ports("solr"),
        user=variables("web1", "site_name"),
        core=variables("web1", "site_search_core"),
    )
    assert len(said) == 6 + 2 * 9
    for what, answer in said.items():
        if what.startswith("redis"):
            assert answer == ["-NOAUTH", "-WRONGPASS", "-WRONGPASS", "-WRONGPASS", "-NOAUTH"], what
        else:
            assert answer in (401, 403), what


@pytest.mark.parametrize("queue", ["celery", "imports"])
def test_the_queues_can_be_watched(hosts, variables, queue):
    told = hosts["web1"].run(f"{variables('web1', 'site_name')}-check-queues --queues %s", queue)
    assert told.rc == 0, told.stderr
    assert f"'{queue}'=" in told.stdout
