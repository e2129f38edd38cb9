"""What the daemon module decides. That it does it, on a real systemd, each role's scenario proves."""

import time

import pytest
from conftest import PROJECT, load

daemon = load(PROJECT / "plugins/modules/daemon.py")

HOUR = 3600


@pytest.fixture(autouse=True)
def time_zone(monkeypatch):
    """Keep the machine's own time zone out; set it with the fixture's value."""
    monkeypatch.setattr(daemon, "TIME_ZONE", "/nonexistent")
    return lambda path: monkeypatch.setattr(daemon, "TIME_ZONE", path)


class Unit:
    """A unit that started and was reloaded so many seconds ago."""

    def __init__(self, *, name="some.service", running=True, started=HOUR, reloaded=None, own_files=()):
        self.name = name
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


def test_a_link_that_leads_elsewhere_is_a_newer_file(tmp_path):
    old = tmp_path / "link"
    old.symlink_to("/etc/hostname")
    assert decide(Unit(started=HOUR), [str(old)]) == ("restart", [str(old)])


@pytest.mark.parametrize("on_change", ["restart", "reload"])
def test_what_was_undone_is_done_again_as_changed_files_are(on_change):
    assert daemon.decide(Unit(), {"files": [], "on_change": on_change, "restart_files": []}, ["x"]) == (on_change, [])


def test_kernel_parameters_are_compared_with_the_last_file_that_sets_them(tmp_path, monkeypatch):
    monkeypatch.setattr(daemon, "PARAMETERS", tmp_path)
    for name, value in {"a": "1", "b/c": "4096\t16384", "d": "2"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    (tmp_path / "10.conf").write_text("# d = 7\n;d = 7\na = 2\nb.c = 4096 16384\n-d=2\nnot.here = 1\nnet.*.x = 1\n")
    assert daemon.other_parameters([str(tmp_path / "*.conf")]) == ["a"]
    (tmp_path / "20.conf").write_text("a = 1\n-b/c = 4096 1\n")
    assert daemon.other_parameters([str(tmp_path / "*.conf")]) == ["b.c"]


@pytest.mark.parametrize("on_change", ["restart", "reload"])
def test_a_new_time_zone_is_taken_over_by_services_only(file, time_zone, on_change):
    time_zone(file)
    assert decide(Unit(), on_change=on_change) == (on_change, [file])
    assert decide(Unit(name="some.socket"), on_change=on_change) == ("none", [])


class Systemd:
    """Stands in for systemctl: answers ``show`` with properties, and everything else from a list of exit codes."""

    def __init__(self, codes=(), **properties):
        self.codes = list(codes)
        self.properties = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running"} | properties
        self.asked = []

    def __call__(self, verb, *arguments):
        if verb == "show":
            return 0, "\n".join(f"{name}={value}" for name, value in self.properties.items())
        self.asked.append(verb)
        return (self.codes.pop(0) if verb in ("start", "restart") and self.codes else 0), ""


@pytest.fixture
def unit(monkeypatch):
    """Make a unit in the state that the properties say, whose starts end with the given exit codes."""

    def make(*codes, **properties):
        systemd = Systemd(codes, **properties)
        monkeypatch.setattr(daemon, "systemctl", systemd)
        return daemon.Unit("some"), systemd

    return make


def test_the_start_is_read_whatever_language_the_day_is_in(unit):
    some, _ = unit(ExecMainStartTimestamp="Fr 2026-11-27 10:00:00.250000 UTC")
    assert some.started_at() == 1795773600.25


def test_the_end_of_its_own_log_is_among_the_words_of_a_failure(unit, tmp_path):
    log = tmp_path / "some.log"
    log.write_bytes(b"".join(b"line %d \xff\n" % number for number in range(20_000)))
    some, _ = unit(1)
    problem = daemon.act(some, "start", str(log))
    assert problem.startswith("systemctl start some.service failed")
    assert "line 19985 " in problem
    assert "line 19984 " not in problem
    assert "No such file" in daemon.act(unit(1)[0], "start", str(tmp_path / "none"))


def test_a_drop_in_that_nobody_of_us_made_is_found(unit, tmp_path, monkeypatch):
    folder = tmp_path / "etc/some.service.d"
    folder.mkdir(parents=True)
    (folder / "ours.conf").write_text("# Ansible managed\n[Service]\nNice=1\n")
    (folder / "override.conf").write_text("[Service]\nNice=1\n")
    every = tmp_path / "etc/service.d"
    every.mkdir()
    (every / "container.conf").write_text("[Service]\nPrivateUsers=no\n")
    monkeypatch.setattr(daemon, "MADE_HERE", (str(tmp_path / "etc"),))
    paths = [
        *folder.iterdir(),
        every / "container.conf",
        folder / "gone.conf",
        "/usr/lib/systemd/some.service.d/a.conf",
    ]
    some, _ = unit(DropInPaths=" ".join(map(str, paths)))
    assert some.foreign_drop_ins == [folder / "override.conf"]
