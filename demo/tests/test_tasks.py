"""The queue: what tasks do, what becomes of them when a process or Redis dies, and the site without its broker."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import DEMO, is_up, wait_for
from redis import Redis

SLUG = "acorns-for-squirrels"
SEND = """
import sys, time, django
django.setup()
from games import queue, tasks
for slug in sys.stdin.read().split():
    print(slug if queue.send(tasks.refresh_game, slug) else "", flush=True)
    time.sleep(0.005)
"""


@pytest.fixture(scope="module")
def celery(site, tmp_path_factory):
    """A function that starts `celery -A familygames` with these arguments and environment variables.

    It returns the process, which runs until the tests end, with the path of its output as `log`.
    """
    processes = []

    def start(*arguments, **environment):
        log = tmp_path_factory.mktemp("celery") / "log"
        command = [sys.executable, "-m", "celery", "-A", "familygames", *arguments, "--loglevel", "INFO"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=DEMO, env=os.environ | environment, stdout=output, stderr=output)
        process.log = log
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(60)


@pytest.fixture(scope="module")
def worker(celery):
    """A worker of both queues."""
    process = celery("worker", "--concurrency", "2", "--queues", "celery,imports")
    wait_for(lambda: "ready." in process.log.read_text())
    return process


def in_index(text):
    from games import search

    return [hit.game for hit in search.find(text).hits]


def test_a_review_recounts_the_rating_and_reaches_the_index(client, review_client, worker):
    from games.models import Game

    Game.objects(slug=SLUG).update(rating_count=40, rating_sum=200)
    client.get(f"/games/{SLUG}/")
    assert review_client(SLUG, rating="4").status_code == 302
    wait_for(lambda: Game.objects(slug=SLUG, rating_count=1, rating_sum=4).first())
    wait_for(lambda: [game.rating for game in in_index("acorns squirrels") if game.slug == SLUG] == [4.0])
    assert "4.0 out of 5, from 1 review" in client.get(f"/games/{SLUG}/").content.decode()


@pytest.mark.parametrize(
    ("failure", "again"),
    [({"closeConnection": True}, False), ({"errorCode": 189}, False), ({"errorCode": 96}, True)],
    ids=["dies", "steps down", "fails"],
)
def test_a_rating_is_recounted_though_mongodb_fails_at_first(site, worker, failure, again):
    from games import queue, tasks
    from games.models import Game

    Game.objects(slug=SLUG).update(rating_count=40, rating_sum=200)
    log = len(worker.log.read_text())
    failure = {"failCommands": ["update"], **failure}
    Game._get_db().client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=failure)
    assert queue.send(tasks.refresh_game, SLUG)
    wait_for(lambda: not Game.objects(slug=SLUG, rating_count=40))
    assert ("Retry in" in worker.log.read_text()[log:]) == again


def test_the_index_is_left_alone_for_a_while_after_it_failed(site, closed_port, monkeypatch):
    from games import search
    from games.models import Game

    games = list(Game.objects(slug=SLUG))
    with monkeypatch.context() as patch:
        patch.setattr("django.conf.settings.SOLR_URLS", [f"http://{closed_port}/solr/games"])
        search._leader.cache_clear()
        for said in ("Failed to connect", "failed a moment ago"):
            with pytest.raises(search.Unavailable, match=said):
                search.index(games)
        leader = search._leader()
    search._leader.cache_clear()
    leader.solr = search._leader().solr
    with monkeypatch.context() as patch:
        patch.setattr(search, "_leader", lambda: leader)
        search.differences()
        search.index(games)


def test_the_sweep_makes_good_what_was_lost(site):
    from games import search, tasks
    from games.models import Game

    Game.objects(slug=SLUG).update(title="Wombats Instead")
    search.remove(["pantry-words"])
    tasks.sweep()
    search.commit()
    assert [game.slug for game in in_index("wombats instead")] == [SLUG]
    assert "pantry-words" in [game.slug for game in in_index("pantry words")]
    Game.objects(slug=SLUG).update(title="Acorns for Squirrels")


def test_a_task_whose_process_is_killed_runs_again(client, worker, upload):
    from games.models import Import

    path = upload([{"slug": f"killed-{number}", "title": f"Killed {number}"} for number in range(3000)])
    job = Import.objects.get(id=path.split("/")[2])
    wait_for(lambda: 0 < job.reload().done < 3000 or job.ended)
    assert not job.ended, "the import was too quick to be cut off"
    for child in subprocess.check_output(["pgrep", "--parent", str(worker.pid)], text=True).split():
        os.kill(int(child), signal.SIGKILL)
    wait_for(lambda: job.reload().ended)
    assert (job.state, job.done, job.added, job.changed) == ("done", 3000, 3000, 0)
    assert job.attempts == 2


def test_beat_has_the_schedule_and_the_week_is_rebuilt(client, celery, worker):
    from games.models import Week

    Week.objects.delete()
    assert "They aren't chosen yet" in client.get("/week/").content.decode().replace("&#x27;", "'")
    beats = [celery("beat", WEEK_SECONDS="1", SWEEP_SECONDS="1") for _ in range(2)]
    first = wait_for(lambda: re.findall(r'<time datetime="([^"]+)"', client.get("/week/").content.decode()))
    wait_for(lambda: re.findall(r'<time datetime="([^"]+)"', client.get("/week/").content.decode()) > first)
    page = client.get("/week/")
    assert len(re.findall(r"<h3>", page.content.decode())) == 12
    assert client.get("/week/").headers["X-Cache"] in {"hit", "miss"}
    assert sorted("Sending due task" in beat.log.read_text() for beat in beats) == [False, True]


def test_the_best_games_of_the_week_come_first(client, site):
    from games import tasks
    from games.models import Game

    for slug, ratings in (("quiet-party", [5, 5]), ("cobweb-deal", [5, 5, 5]), ("pantry-words", [1, 1])):
        for rating in ratings:
            Game.objects.get(slug=slug).add_review(name="Ada", rating=rating, text="We played it.")
    tasks.rebuild_week()
    shown = re.findall(r'<h3><a href="/games/([^/]+)/', client.get("/week/").content.decode())
    assert shown.index("cobweb-deal") < shown.index("quiet-party") < 5
    assert len(shown) == len(set(shown)) == 12


@pytest.fixture
def broker(monkeypatch):
    """A function that gives the site another broker for one test."""
    from celery import current_app

    from games import queue

    def use(url):
        monkeypatch.setattr(current_app.conf, "broker_url", url)
        queue.connection.cache_clear()

    yield use
    queue.connection.cache_clear()


@pytest.mark.parametrize("url", ["redis://{closed}/0", "redis://{silent}/0", ";".join(["sentinel://{silent}/0"] * 3)])
def test_without_the_broker_a_review_is_posted_all_the_same(
    client, review_client, closed_port, silent_port, broker, url
):
    broker(url.format(closed=closed_port, silent=silent_port))
    start = time.perf_counter()
    assert review_client("quiet-party").status_code == 302
    # Without timeouts of its own it would be minutes, or for ever.
    assert time.perf_counter() - start < 10
    report = client.get("/readyz").json()
    assert report["status"] == "degraded"
    assert not report["checks"]["queue"]["ok"]


def can_lose_the_primary():
    """Whether the replicas have what the primary has, and the Sentinel knows them."""
    login = {"username": "games", "password": "p@ss/word"}
    links = [Redis(port=port, **login).info("replication").get("master_link_status") for port in (7002, 7004)]
    return links == ["up", "up"] and Redis(port=7003, **login).sentinel_masters()["main"]["num-slaves"] == 2


@pytest.fixture
def sentinel(tmp_path):
    """A Redis primary, two replicas and a Sentinel: the broker's URL, and a function that kills the primary."""
    everyone = f'bind 127.0.0.1\ndir {tmp_path}\nlogfile {tmp_path}/log\nsave ""\nuser default off\n'
    site = "user games on >p@ss/word ~* &* +@all -@dangerous +info\n"
    replication = "user own on >own ~* &* +@all\nmasteruser own\nmasterauth own\nrepl-diskless-sync-delay 0\n"
    watch = "sentinel monitor main 127.0.0.1 7001 1\nsentinel auth-user main own\nsentinel auth-pass main own\n"
    watch += "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
    files = {
        "primary": f"port 7001\n{everyone}{site}{replication}",
        "replica": f"port 7002\n{everyone}{site}{replication}replicaof 127.0.0.1 7001\n",
        "other": f"port 7004\n{everyone}{site}{replication}replicaof 127.0.0.1 7001\n",
        "sentinel": f"port 7003\n{everyone}{watch}user games on >p@ss/word &* -@all +@connection +sentinel|masters\n",
    }
    processes = []
    try:
        for name, text in files.items():
            Path(tmp_path, name).write_text(text)
            kind = ["--sentinel"] if name == "sentinel" else []
            processes.append(subprocess.Popen(["redis-server", str(tmp_path / name), *kind]))
        wait_for(is_up, can_lose_the_primary)
        wait_for(can_lose_the_primary)
        yield ";".join(["sentinel://games:p%40ss%2Fword@127.0.0.1:7003/0"] * 2), processes[0].kill
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_no_task_is_lost_when_the_primary_dies(celery, sentinel, site):
    from games.models import Game

    broker, kill_primary = sentinel
    environment = {
        "BROKER_URL": broker,
        "SOLR_URLS": "",
        "TASK_SECONDS": "5",
        "DJANGO_SETTINGS_MODULE": "familygames.settings",
    }
    worker = celery("worker", "--concurrency", "2", **environment)
    wait_for(lambda: "ready." in worker.log.read_text())
    slugs = list(Game.objects.scalar("slug")[:600])
    Game.objects(slug__in=slugs).update(rating_count=77)
    command = [sys.executable, "-c", SEND]
    with subprocess.Popen(command, cwd=DEMO, env=os.environ | environment, stdin=-1, stdout=-1, text=True) as sender:
        sender.stdin.write("\n".join(slugs))
        sender.stdin.close()
        sent = [sender.stdout.readline().strip() for _ in range(200)]
        kill_primary()
        sent += [line.strip() for line in sender.stdout]
    sent = [slug for slug in sent if slug]
    assert 200 < len(sent) < 600
    wait_for(lambda: not Game.objects(slug__in=sent, rating_count=77), seconds=40)
    assert "p@ss" not in worker.log.read_text() and "p%40ss" not in worker.log.read_text()


def test_a_task_that_no_replica_has_is_not_sent(site, monkeypatch, caplog):
    from games import queue, tasks

    assert queue.send(tasks.refresh_game, SLUG)
    monkeypatch.setattr("django.conf.settings.BROKER_REPLICAS", 1)
    assert not queue.send(tasks.refresh_game, SLUG)
    assert "no replica has it" in caplog.text


def test_a_task_that_was_taken_is_noted_when_redis_is_back(site, monkeypatch):
    from celery import current_app
    from kombu import Connection
    from kombu.transport import redis
    from redis.exceptions import ConnectionError

    from familygames import celery as module

    monkeypatch.setattr(module, "NOTE_PAUSE", 0.01)
    failures = iter(range(3))
    note = redis.QoS.append

    def append(self, *arguments):
        if next(failures, None) is not None:
            raise ConnectionError("the primary died")
        return note(self, *arguments)

    monkeypatch.setattr(redis.QoS, "append", append)
    with Connection(current_app.conf.broker_url) as connection:
        queue = connection.SimpleQueue("noted")
        queue.put({"a": 1})
        message = queue.get(timeout=5)
        assert message.payload == {"a": 1}
        taken = connection.default_channel.client.hexists
        assert taken("unacked", message.delivery_tag)
        message.ack()
        assert not taken("unacked", message.delivery_tag)
        queue.close()
