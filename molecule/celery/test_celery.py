"""Workers and beat as those who send tasks meet them: what is sent is done, whatever dies meanwhile."""

import json
import time
import uuid
from contextlib import contextmanager

import pytest
from support import eventually

BEAT_SECONDS = 2
SEND = """
import json, os, sys
os.environ["BROKER_URL"] = sys.argv[1]
import tiny
for name, arguments in json.loads(sys.argv[2]):
    tiny.app.send_task(name, arguments)
"""
READ = """
import json, redis, sys
print(json.dumps([mark.decode() for mark in redis.Redis.from_url(sys.argv[1]).lrange(sys.argv[2], 0, -1)]))
"""
WAITING = """
import redis, sys
print(redis.Redis.from_url(sys.argv[1]).info("clients")["blocked_clients"])
"""


class Tasks:
    """Sends tasks from the first host, and reads the marks that they leave."""

    def __init__(self, host, url):
        self.host = host
        self.url = url

    def python(self, program, *arguments):
        """Run a Python program in the application's environment."""
        command = "cd /srv/tiny && ./virtualenv/bin/python -c %s" + " %s" * len(arguments)
        return self.host.check_output(command, program, *arguments)

    def send(self, *tasks):
        """Send tasks, each a name and its arguments."""
        self.python(SEND, self.url, json.dumps(tasks))

    def marks(self, key):
        """Return the marks under a key: the time, the host and the release of each."""
        return [mark.split() for mark in json.loads(self.python(READ, self.url, key))]

    def waiting_workers(self):
        """Return how many connections wait at the broker for the next task."""
        return int(self.python(WAITING, self.url))

    def wait(self, key, count=1, seconds=60):
        """Wait until there are so many marks, and return them."""
        until = time.monotonic() + seconds
        while len(marks := self.marks(key)) < count:
            assert time.monotonic() < until, f"{len(marks)} of {count} marks after {seconds} seconds"
            time.sleep(0.2)
        return marks


@pytest.fixture(scope="session")
def tasks(hosts, variables):
    return Tasks(hosts["worker1"], variables("worker1", "broker_url"))


@pytest.fixture
def key():
    """A key of the test's own."""
    return str(uuid.uuid4())


@contextmanager
def stopped(hosts, unit, names=("worker1", "worker2")):
    """Stop a unit on some hosts for as long as the block lasts."""
    for name in names:
        hosts[name].check_output("systemctl stop %s", unit)
    try:
        yield
    finally:
        for name in names:
            hosts[name].check_output("systemctl start %s", unit)


def begun(hosts, tasks, key, seconds, name="slow"):
    """Send a task that takes some seconds; return the name of the host that began it, and of the other."""
    tasks.send([f"tiny.{name}", [key, seconds]])
    [[_, host, _]] = tasks.wait(f"{key}-begun")
    return host, next(other for other in hosts if other != host)


def test_both_hosts_work(tasks, key):
    tasks.send(*[["tiny.mark", [key]]] * 40)
    assert {host for _, host, _ in tasks.wait(key, 40)} == {"worker1", "worker2"}


def test_long_tasks_do_not_keep_the_short_ones_waiting(tasks, key):
    tasks.send(*[["tiny.long_one", [f"{key}-long", 3]]] * 4, ["tiny.mark", [key]])
    [short], long = tasks.wait(key), tasks.wait(f"{key}-long-done", 4)
    assert float(short[0]) < min(float(when) for when, _, _ in long)


def test_a_task_that_takes_too_long_is_ended(hosts, tasks, key):
    begun(hosts, tasks, key, 9)
    time.sleep(10)
    assert len(tasks.marks(f"{key}-begun")) == 1
    assert not tasks.marks(f"{key}-done")


def test_a_restart_lets_a_task_finish(hosts, tasks, key):
    host, _ = begun(hosts, tasks, key, 3)
    hosts[host].check_output("systemctl restart tiny-worker-default")
    assert len(tasks.wait(f"{key}-done")) == 1
    assert len(tasks.marks(f"{key}-begun")) == 1


def test_a_stop_returns_a_task_that_would_take_too_long(hosts, tasks, key):
    host, other = begun(hosts, tasks, key, 7)
    with stopped(hosts, "tiny-worker-default", [host]):
        assert hosts[host].check_output("systemctl show tiny-worker-default --property Result --value") == "success"
        # Long before the broker would have given it to another worker by itself.
        assert [worker for _, worker, _ in tasks.wait(f"{key}-done", seconds=15)] == [other]


def test_the_tasks_of_a_killed_worker_are_run_by_the_other(hosts, tasks, key):
    host, other = begun(hosts, tasks, key, 5)
    hosts[host].check_output("systemctl kill --signal=KILL tiny-worker-default && systemctl stop tiny-worker-default")
    try:
        assert [worker for _, worker, _ in tasks.wait(f"{key}-done", seconds=40)] == [other]
    finally:
        hosts[host].check_output("systemctl start tiny-worker-default")


def test_the_task_of_a_killed_process_is_run_again_at_once(hosts, tasks, key):
    host, _ = begun(hosts, tasks, key, 5)
    hosts[host].check_output(
        "pkill --signal KILL --parent $(systemctl show --value --property MainPID tiny-worker-default)"
    )
    assert len(tasks.wait(f"{key}-done", seconds=14)) == 1


@pytest.mark.parametrize("signal", ["KILL", "STOP"])
def test_killed_and_frozen_units_come_back(hosts, tasks, key, signal):
    units = "tiny-worker-default tiny-worker-long tiny-beat"

    def restarts():
        counts = [host.check_output(f"systemctl show --value --property NRestarts {units}") for host in hosts.values()]
        return [int(count) for count in " ".join(counts).split()]

    before = restarts()
    for host in hosts.values():
        host.check_output(f"systemctl kill --kill-who=all --signal={signal} {units}")
    if signal == "STOP":
        # What comes while a frozen worker is still waiting at the broker, for a second, is lost with it.
        eventually(lambda: tasks.waiting_workers() == 0)
    tasks.python("import redis, sys; redis.Redis.from_url(sys.argv[1]).delete('ticks')", tasks.url)
    tasks.send(["tiny.mark", [key]], ["tiny.long_one", [f"{key}-long", 0]])
    for awaited in (key, f"{key}-long-done", "ticks"):
        tasks.wait(awaited, seconds=120)
    eventually(lambda: all(now > then for now, then in zip(restarts(), before, strict=True)))


def test_beat_fires_once_a_period_with_both_and_goes_on_with_either_one(hosts, tasks):
    def fires_once_a_period():
        tasks.python("import redis, sys; redis.Redis.from_url(sys.argv[1]).delete('ticks')", tasks.url)
        times = sorted(float(when) for when, _, _ in tasks.wait("ticks", 6))
        # One mark may be late by a period.
        return (len(times) - 2) * BEAT_SECONDS <= times[-1] - times[0]

    assert fires_once_a_period()
    for host in hosts.values():
        host.check_output("systemctl kill --signal=KILL tiny-beat && systemctl stop tiny-beat")
        try:
            # If that one was at work, its lock runs out first.
            tasks.wait("ticks", len(tasks.marks("ticks")) + 4)
        finally:
            host.check_output("systemctl start tiny-beat")
    assert fires_once_a_period()


def test_the_check_tells_how_many_tasks_wait(hosts, tasks, key, host):
    assert host.check_output("tiny-check-queues").startswith("QUEUES OK - tasks waiting: ")
    with stopped(hosts, "tiny-beat"), stopped(hosts, "tiny-worker-default"):
        waiting = 0
        for count, code, state in ((2, 0, "OK"), (8, 1, "WARNING"), (20, 2, "CRITICAL")):
            tasks.send(*[["tiny.mark", [key]]] * (count - waiting))
            waiting = count
            told = host.run("tiny-check-queues")
            assert told.rc == code
            assert f"QUEUES {state}" in told.stdout
        assert f"'celery'={waiting};5;20;0 'long'=0;5;20;0 'longer'=0;5;20;0" in told.stdout
        assert host.run("tiny-check-queues --critical 50 --warning 40").rc == 0
        assert host.run("tiny-check-queues --queues long").rc == 0
        with stopped(hosts, "redis-server", ["worker1"]):
            told = host.run("tiny-check-queues")
            assert told.rc == 3
            assert told.stdout.startswith("QUEUES UNKNOWN - The broker can't be reached")
            assert "nightingale" not in told.stdout + told.stderr
        assert host.run("tiny-check-queues --warning some").rc == 3
    assert len(tasks.wait(key, waiting)) == waiting


def test_a_new_release_is_taken_over_and_a_run_that_finds_none_restarts_nothing(hosts, tasks, key, converge):
    begun(hosts, tasks, key, 3)
    for host in hosts.values():
        host.check_output("echo two > /srv/tiny/release")
    deployed = converge()
    assert deployed.ok, deployed.output
    assert set(deployed.changed) == set(hosts)
    assert len(tasks.wait(f"{key}-done")) == len(tasks.marks(f"{key}-begun")) == 1
    tasks.send(*[["tiny.mark", [key]]] * 10)
    assert {release for _, _, release in tasks.wait(key, 10)} == {"two"}
    assert not converge().changed


def test_an_application_that_can_not_be_imported_is_refused(hosts, tasks, key, converge):
    for host in hosts.values():
        host.check_output(
            "cp /srv/tiny/tiny.py /srv/tiny/tiny.good && echo 'import an_engine_that_is_missing' >> /srv/tiny/tiny.py"
        )
        host.check_output("touch /srv/tiny/release")
    try:
        refused = converge()
        assert not refused.ok
        assert not refused.changed
        assert "celery_app: tiny can't work on this host, so its units stay as they are." in refused.message
        assert "No module named 'an_engine_that_is_missing'" in refused.message
    finally:
        for host in hosts.values():
            host.check_output("mv /srv/tiny/tiny.good /srv/tiny/tiny.py")
    tasks.send(["tiny.mark", [key]])
    tasks.wait(key)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"celery_environment_file": "/srv/elsewhere.environment"},
            "The broker can't be reached: ConnectionError: Error 111 connecting to 127.0.0.1:1. Connection refused",
        ),
        (
            {"celery_beat_scheduler": "redbeet.RedBeatScheduler"},
            "celery_beat_scheduler: redbeet.RedBeatScheduler can't be",
        ),
        (
            {"celery_workers": {"default": {"queues": ["celery"], "time_limit": 3600}}},
            "give a task to another worker after 12 seconds, while celery_workers let it run for 3600",
        ),
        ({"celery_python": ["/usr/bin/python3"]}, "Celery is not among the application's libraries"),
    ],
)
def test_what_can_not_work_is_refused_before_a_unit_changes(hosts, converge, values, message):
    for host in hosts.values():
        host.check_output("echo BROKER_URL=redis://:swallow@127.0.0.1:1/0 > /srv/elsewhere.environment")
    units = "systemctl show --value --property ActiveEnterTimestamp,MainPID 'tiny-*.service'"
    before = [host.check_output(units) for host in hosts.values()]
    refused = converge(values, diff=True, verbosity=3)
    assert not refused.ok
    assert message in refused.message, refused.output
    assert not set(refused.changed.values()) - {1}, "only the command that looks at the queues may have changed"
    assert "swallow" not in refused.output
    assert [host.check_output(units) for host in hosts.values()] == before


def test_a_worker_that_is_no_longer_named_is_removed(hosts, converge):
    fewer = {"celery_workers": {"default": {"queues": ["celery", "long"]}}, "celery_beat": False}
    dry = converge({**fewer, "celery_workers": {"default": {"queues": ["celery"], "time_limit": 12}}}, check=True)
    assert dry.ok, dry.output
    fewer["celery_workers"]["default"] |= {"time_limit": 10, "soft_time_limit": 8}
    assert converge(fewer).ok
    for host in hosts.values():
        running = host.check_output("systemctl list-units --all --plain --no-legend 'tiny-*'")
        assert [line.split()[0] for line in running.splitlines()] == ["tiny-worker-default.service"]
    assert not converge(fewer).changed


def test_units_are_as_they_should_be(host):
    verified = host.run("systemd-analyze verify tiny-worker-default.service tiny-beat.service")
    assert (verified.rc, verified.stderr) == (0, "")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("celery_app", "tiny; id"),
        ("celery_user", "root"),
        ("celery_python", []),
        ("celery_workers", {"default": {"queues": ["celery"], "concurency": 4}}),
        ("celery_workers", {"default": {"queues": []}}),
        ("celery_workers", {"default": {"queues": ["celery"], "time_limit": 5, "soft_time_limit": 5}}),
        ("celery_beat_scheduler", "celery.beat.PersistentScheduler"),
        ("celery_queue_critical", 1),
    ],
)
def test_a_bad_value_is_refused_and_named(run, variable, value):
    refused = run({variable: value}, limit="worker1")
    assert not refused.ok
    assert variable in refused.message
    assert not refused.changed
