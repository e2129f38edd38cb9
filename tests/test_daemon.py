"""What the daemon module decides. That it does it, on a real systemd, each role's scenario proves."""

import time

import pytest
from conftest import PROJECT, load

daemon = load(PROJECT / "plugins/modules/daemon.py")

HOUR = 3600


class Unit:
    """A unit that started and was reloaded so many seconds ago."""

    def __init__(self, *, running=True, started=HOUR, reloaded=None, own_files=()):
        self.running = running
        self.own_files = list(own_files)
        self.started_at = lambda: time.time() - started
        self.reloaded_at = lambda: time.time() - reloaded if reloaded is not None else 0.0


@pytest.fixture
def file(tmp_path):
    """A file that changed just now."""
    path = tmp_path / "service.conf"
    path.write_text("new")
    return str(path)


def decide(unit, files=(), on_change="restart", restart_files=()):
    return daemon.decide(unit, {"files": list(files), "on_change": on_change, "restart_files": list(restart_files)})


def test_a_stopped_unit_is_started_whatever_its_files_say(file):
    assert decide(Unit(running=False), [file]) == ("start", [])


def test_a_running_unit_without_newer_files_is_left_alone(file):
    assert decide(Unit(started=-5), [file]) == ("none", [])


def test_a_newer_file_restarts_or_reloads(file):
    assert decide(Unit(), [file]) == ("restart", [file])
    assert decide(Unit(), [file], "reload") == ("reload", [file])


def test_a_reload_settles_files_but_not_those_that_need_a_restart(file):
    reloaded = Unit(reloaded=-5)
    assert decide(reloaded, [file], "reload") == ("none", [])
    assert decide(reloaded, [file]) == ("restart", [file])
    assert decide(reloaded, [], "reload", [file]) == ("restart", [file])


def test_a_newer_unit_file_restarts_even_where_files_are_reloaded(file):
    assert decide(Unit(own_files=[file]), on_change="reload") == ("restart", [file])


def test_patterns_are_expanded_and_missing_files_are_no_reason(file, tmp_path):
    assert decide(Unit(), [str(tmp_path / "*.conf"), str(tmp_path / "none")]) == ("restart", [file])
