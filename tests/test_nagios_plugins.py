"""The plugins of the roles nagios and nrpe: what they say of answers as real daemons give them, and of bad usage."""

import importlib
import json
import socket
import struct
import subprocess
import sys
import threading
from argparse import Namespace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from conftest import PROJECT, load

PLUGINS = PROJECT / "roles/nagios/files/plugins"
OK, WARNING, CRITICAL, UNKNOWN = range(4)


@pytest.fixture(scope="session")
def plugins():
    """All plugins of the role nagios by name. They import what lies beside them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PLUGINS)
        return {path.stem: importlib.import_module(path.stem) for path in PLUGINS.glob("*.py")}


@pytest.fixture(scope="session")
def host_check():
    """The checks of the role nrpe."""
    return load(PROJECT / "roles/nrpe/files/check_host.py")


@pytest.mark.parametrize("path", sorted(PLUGINS.glob("check_*.py")), ids=lambda path: path.stem)
def test_help_is_well_and_bad_usage_is_unknown(path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, path, *arguments], capture_output=True, text=True, timeout=20, check=False
        )

    asked = run("--help")
    assert asked.returncode == OK
    assert "usage:" in asked.stdout
    assert run("--no-such-option").returncode == UNKNOWN


def test_a_login_that_is_not_there_is_unknown(plugins, tmp_path, capsys):
    check = plugins["check_queues"]
    arguments = ["--sentinels", "127.0.0.1:1", "--credentials", str(tmp_path / "none")]
    assert plugins["plugin"].run(check.parser(), check.check, arguments) == UNKNOWN
    assert "no login redis" in capsys.readouterr().out
    assert (
        plugins["plugin"].run(check.parser(), check.check, [*arguments, "--warning", "5", "--critical", "1"]) == UNKNOWN
    )
    assert plugins["plugin"].run(check.parser(), check.check, ["--sentinels", "nowhere"]) == UNKNOWN


# MongoDB


@pytest.mark.parametrize(
    ("document", "state"),
    [
        (b"\x08isWritablePrimary\0\x01\x08secondary\0\x00", OK),
        (b"\x08isWritablePrimary\0\x00\x08secondary\0\x01", OK),
        (b"\x08isWritablePrimary\0\x00\x08secondary\0\x00", CRITICAL),
    ],
)
def test_mongodb_is_asked_over_the_wire(plugins, capsys, document, state):
    def serve(server):
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(struct.pack("<i", len(document) + 4) + document)

    check = plugins["check_mongodb"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=[server]).start()
        arguments = ["--address", "127.0.0.1", "--port", str(server.getsockname()[1])]
        assert plugins["plugin"].run(check.parser(), check.check, arguments) == state
    said = capsys.readouterr().out
    assert "'time'=" in said
    assert plugins["plugin"].run(check.parser(), check.check, arguments) == CRITICAL


NOW = datetime(2026, 12, 1, 12)
SET = Namespace(members=[("a", 1), ("b", 1), ("c", 1)], warning=30.0, critical=120.0)


def member(name, state, behind=0, health=1):
    """Return a member as replSetGetStatus shows it."""
    words = {1: "PRIMARY", 2: "SECONDARY", 3: "RECOVERING", 8: "(not reachable/healthy)"}
    date = NOW - timedelta(seconds=behind)
    return {"name": name, "state": state, "stateStr": words[state], "health": health, "optimeDate": date}


@pytest.mark.parametrize(
    ("members", "state", "words"),
    [
        ([member("a", 1), member("b", 2, 3), member("c", 2)], OK, "primary a"),
        ([member("a", 1), member("b", 2), member("c", 8, health=0)], WARNING, "c is (not reachable/healthy)"),
        ([member("a", 1), member("b", 2), member("c", 3)], WARNING, "c is RECOVERING"),
        ([member("a", 1), member("b", 2)], WARNING, "2 members instead of 3"),
        ([member("a", 1), member("b", 2, 60), member("c", 2)], WARNING, "b is 60 s behind"),
        ([member("a", 1), member("b", 2, 300), member("c", 2)], CRITICAL, "b is 300 s behind"),
        ([member("a", 2), member("b", 2), member("c", 8, health=0)], CRITICAL, "no primary"),
        (
            [member("a", 2), member("b", 8, health=0), member("c", 8, health=0)],
            CRITICAL,
            "1 of 3 members are no majority",
        ),
        # What a member that is away last did says nothing of a lag.
        ([member("a", 1), member("b", 2), member("c", 8, 9999, health=0)], WARNING, "'lag'=0s"),
    ],
)
def test_a_replica_set_is_judged_by_its_own_view(plugins, members, state, words):
    report = plugins["check_replica_set"].judge({"members": members}, [], SET)
    assert report.state == state
    assert words in str(report)


def test_a_replica_set_that_does_not_answer_is_critical_and_a_refusal_unknown(plugins):
    check = plugins["check_replica_set"]
    assert check.judge(None, ["a: ServerSelectionTimeoutError", "b: AutoReconnect"], SET).state == CRITICAL
    with pytest.raises(check.Unknown):
        check.judge(None, ["a: AuthenticationFailed", "b: ServerSelectionTimeoutError"], SET)


# Redis

SENTINELS = Namespace(sentinels=[("a", 1), ("b", 1), ("c", 1)], name="main", replicas=None, warning=10.0, critical=60.0)
AGREED = dict.fromkeys("abc", ("10.0.0.1", 6379))


class AuthenticationError(Exception):
    """As the library of Redis calls it."""


def replication(*replicas, role="master"):
    """Return what INFO replication says, by the state and the lag of each replica."""
    shown = {f"slave{number}": {"state": state, "lag": lag} for number, (state, lag) in enumerate(replicas)}
    return {"role": role, "connected_slaves": len(replicas), **shown}


@pytest.mark.parametrize(
    ("said", "info", "state", "words"),
    [
        (AGREED, replication(("online", 0), ("online", 1)), OK, "2 replicas are in step"),
        (AGREED, replication(("online", 0)), WARNING, "1 of 2 replicas are in step"),
        (AGREED, replication(("online", 0), ("wait_bgsave", 0)), WARNING, "1 of 2 replicas"),
        (AGREED, replication(("online", 0), ("online", 20)), WARNING, "20 s ago"),
        (AGREED, replication(("online", 0), ("online", 90)), CRITICAL, "90 s ago"),
        (AGREED, replication(), CRITICAL, "no replica is in step"),
        (AGREED, replication(role="slave"), CRITICAL, "is a replica"),
        (AGREED, TimeoutError(), CRITICAL, "does not answer"),
        (AGREED | {"c": TimeoutError()}, replication(("online", 0), ("online", 0)), WARNING, "2 of 3 Sentinels answer"),
        (AGREED | {"c": ("10.0.0.2", 6379)}, replication(("online", 0), ("online", 0)), WARNING, "different primaries"),
        (dict.fromkeys("abc", TimeoutError()), None, CRITICAL, "no Sentinel knows"),
        (
            AGREED | dict.fromkeys("bc", TimeoutError()),
            replication(("online", 0), ("online", 0)),
            CRITICAL,
            "no majority",
        ),
    ],
)
def test_a_set_of_redis_is_judged_by_its_sentinels_and_its_primary(plugins, said, info, state, words):
    report = plugins["check_redis_set"].judge(said, info, SENTINELS)
    assert report.state == state
    assert words in str(report)


def test_a_login_that_redis_refuses_is_unknown(plugins):
    check = plugins["check_redis_set"]
    with pytest.raises(check.Unknown):
        check.judge(AGREED, AuthenticationError("WRONGPASS"), SENTINELS)


def test_queues_are_counted(plugins):
    judge = plugins["check_queues"].judge
    options = Namespace(name="main", warning=100.0, critical=1000.0)
    assert str(judge({"celery": 3, "imports": 0}, options)) == (
        "OK - celery: 3 waiting, imports: 0 waiting | 'celery'=3;100;1000;0 'imports'=0;100;1000;0"
    )
    assert judge({"celery": 100, "imports": 0}, options).state == WARNING
    assert str(judge({"celery": 0, "imports": 5000}, options)).startswith("CRITICAL - imports: 5000")
    assert judge(None, options).state == CRITICAL
    assert judge(TimeoutError(), options).state == CRITICAL
    with pytest.raises(plugins["check_queues"].Unknown):
        judge(AuthenticationError("WRONGPASS"), options)


# Solr

CORE = Namespace(core="games", warning=120.0, critical=600.0)


def index(committed, documents=7):
    """Return what a member of Solr says: when its index was committed, and what is in it."""
    return {"version": committed * 1000, "documents": documents}


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        ({"a": index(5000), "b": index(5000)}, OK, "7 documents"),
        ({"a": index(9990), "b": index(5000)}, OK, "b lacks a commit of 10 s ago"),
        ({"a": index(9800), "b": index(9000)}, WARNING, "b lacks a commit of 200 s ago"),
        ({"a": index(9000), "b": index(8000)}, CRITICAL, "1000 s ago"),
        ({"a": index(5000), "b": index(5000, 0)}, CRITICAL, "b has none of 7 documents"),
        ({"a": index(5000), "b": TimeoutError()}, WARNING, "b does not answer"),
        ({"a": TimeoutError(), "b": index(5000)}, WARNING, "no leader"),
        ({"a": TimeoutError(), "b": TimeoutError()}, CRITICAL, "no member"),
        ({"a": {"version": None, "documents": 7}, "b": {"version": None, "documents": 7}}, OK, "7 documents"),
        ({"a": {"version": 1, "documents": None}, "b": {"version": 1, "documents": None}}, OK, "'lag'=0s"),
    ],
)
def test_followers_are_compared_with_the_leader(plugins, found, state, words):
    report = plugins["check_solr_replication"].judge(found, CORE, now=10000)
    assert report.state == state
    assert words in str(report)


# The mails


def test_a_mail_says_all_that_one_needs_at_night():
    notify = load(PROJECT / "roles/nagios/files/notify.py")
    about = {
        "sender": "nagios@localhost",
        "recipient": "root@localhost",
        "type": "PROBLEM",
        "number": "1",
        "host": "data1",
        "address": "10.0.1.31",
        "service": "redis",
        "state": "CRITICAL",
        "was": "CRITICAL",
        "expected": "port 6379 speaks redis",
        "output": "connection refused = no",
        "advice": "journalctl --unit redis-server",
        "well": "1795635270",
        "sent": "1795635290",
        "author": "",
        "comment": "",
    }
    mail = notify.compose(about)
    assert (mail["To"], mail["Subject"]) == ("root@localhost", "CRITICAL: redis on data1")
    text = mail.get_content()
    for part in (
        "data1 (10.0.1.31)",
        "port 6379 speaks redis",
        "connection refused = no",
        "journalctl --unit redis-server",
    ):
        assert part in text
    assert "Comment" not in text
    assert "when it was last well" in text
    assert notify.compose(about | {"number": "3"})["Subject"] == "CRITICAL: redis on data1 (reminder 2)"
    assert notify.compose(about | {"number": "3", "was": "WARNING"})["Subject"] == "CRITICAL: redis on data1"
    recovery = notify.compose(about | {"type": "RECOVERY", "state": "OK"})
    assert recovery["Subject"] == "OK again: redis on data1"
    assert "journalctl" not in recovery.get_content()
    assert notify.compose(about | {"service": "", "state": "DOWN"})["Subject"] == "DOWN: data1"


@pytest.mark.parametrize(
    ("kind", "state", "was", "number", "untold"),
    [
        ("PROBLEM", "WARNING", "WARNING", "1", True),
        ("PROBLEM", "WARNING", "WARNING", "2", False),
        ("PROBLEM", "CRITICAL", "WARNING", "2", False),
        ("PROBLEM", "CRITICAL", "CRITICAL", "1", False),
        ("RECOVERY", "OK", "WARNING", "2", True),
        ("RECOVERY", "OK", "WARNING", "3", False),
        ("RECOVERY", "OK", "CRITICAL", "2", False),
        ("DOWNTIMESTART", "WARNING", "WARNING", "0", False),
    ],
)
def test_of_a_warning_only_one_that_lasts_is_mailed(kind, state, was, number, untold):
    notify = load(PROJECT / "roles/nagios/files/notify.py")
    assert notify.is_untold({"type": kind, "state": state, "was": was, "number": number}) is untold


# The host


@pytest.mark.parametrize(
    ("synchronised", "error", "container", "state"),
    [
        (True, 0.02, False, OK),
        (True, 4.0, False, WARNING),
        (True, 12.0, False, CRITICAL),
        (False, 16.0, False, CRITICAL),
        (False, 16.0, True, OK),
    ],
)
def test_the_clock(host_check, monkeypatch, capsys, synchronised, error, container, state):
    monkeypatch.setattr(host_check, "kernel_clock", lambda: (synchronised, error))
    monkeypatch.setattr(host_check, "in_a_container", lambda: container)
    assert host_check.main(["clock", "--warning", "3", "--critical", "10"]) == state
    assert f"error={error:.3f}s;3;10;0" in capsys.readouterr().out


def test_the_kernel_is_asked_for_the_clock(host_check):
    synchronised, error = host_check.kernel_clock()
    assert synchronised in (True, False)
    assert error >= 0


@pytest.mark.parametrize(
    ("listed", "ignored", "state", "words"),
    [
        ("", [], OK, "no unit failed"),
        ("shop.service loaded failed failed Shop\n", [], CRITICAL, "failed: shop.service"),
        ("shop.service loaded failed failed Shop\n", ["shop"], OK, "no unit failed"),
        (
            "a.timer loaded failed failed A\nb.mount loaded failed failed B\n",
            ["a"],
            CRITICAL,
            "failed: a.timer b.mount",
        ),
    ],
)
def test_failed_units(host_check, monkeypatch, capsys, listed, ignored, state, words):
    monkeypatch.setattr(host_check, "output_of", lambda *_: listed)
    assert host_check.main(["failed_units", *ignored]) == state
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("count", "minutes", "state"), [(0, 0, OK), (3, 1, OK), (20, 1, WARNING), (1, 30, WARNING), (1, 600, CRITICAL)]
)
def test_the_mail_queue(host_check, monkeypatch, capsys, count, minutes, state):
    mail = {
        "arrival_time": datetime.now().timestamp() - minutes * 60 - 1,
        "recipients": [{"address": "a@example.com", "delay_reason": "connection refused"}],
    }
    monkeypatch.setattr(host_check, "output_of", lambda *_: "\n".join([json.dumps(mail)] * count))
    thresholds = ["--warning", "20", "--critical", "200", "--warning-age", "15", "--critical-age", "120"]
    assert host_check.main(["mail_queue", *thresholds]) == state
    said = capsys.readouterr().out
    assert f"mails={count};20;200;0" in said
    assert ("connection refused" in said) == (count > 0)


def test_a_reboot_that_waits(host_check, monkeypatch, tmp_path, capsys):
    flag = tmp_path / "reboot-required"
    monkeypatch.setattr(host_check, "REBOOT", flag)
    assert host_check.main(["reboot_required"]) == OK
    flag.touch()
    assert host_check.main(["reboot_required"]) == WARNING
    assert "an upgrade waits" in capsys.readouterr().out
    Path(f"{flag}.pkgs").write_text("linux-image\nlibc6\nlibc6\n")
    assert host_check.main(["reboot_required"]) == WARNING
    assert "libc6 linux-image waits" in capsys.readouterr().out


def test_a_host_check_that_can_not_tell_is_unknown(host_check, capsys):
    with pytest.raises(SystemExit) as done:
        host_check.main(["clock"])
    assert done.value.code == UNKNOWN
    with pytest.raises(host_check.Unknown):
        host_check.output_of("/nowhere")
    capsys.readouterr()
