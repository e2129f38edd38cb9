"""The program of the role monit: what it makes of what systemd and Monit say, over time, without either of them."""

import json
import os
import subprocess
from types import SimpleNamespace

import pytest
from conftest import PROJECT, load

SETTINGS = {
    "services": {"shop": "shop", "beat": "beat.service"},
    "interval": 5,
    "grace": 60,
    "attempts": 2,
    "rests": [100],
}
CALM = 90


class Host:
    """A host in a test: its clock, its units, its Monit, and the folder of the state."""

    def __init__(self, watch, folder, capsys):
        self.watch, self.folder, self.capsys = watch, folder, capsys
        self.seconds = 1000.0
        self.units = {
            unit: {"pid": 10, "restarts": 0, "state": "active", "since": 0} for unit in ("shop", "beat.service")
        }
        # Whether Monit watches a service; empty while it does not run. It obeys after so many looks.
        self.monit = {"shop": True, "beat": True}
        self.slow = 0
        self.asked = None
        self.answers = {}
        self.commands = []
        self.log = []

    def monotonic(self):
        """Return the time."""
        return self.seconds

    def sleep(self, seconds):
        """Let time pass."""
        self.seconds += seconds

    def run(self, *command, check=False):
        """Be systemctl, monit, or a command whose answer the test gives."""
        self.commands.append(" ".join(command))
        code, text = 0, ""
        match command:
            case _ if command[0] in self.answers or command[:2] in self.answers:
                code, text = self.answers.get(command[:2]) or self.answers[command[0]]
            case ["systemctl", "show", properties, *names]:
                text = "\n".join(self.show(name, properties.partition("=")[2].split(",")) for name in names)
            case ["systemctl", "--quiet", "is-active", *names]:
                code = 0 if names == ["monit"] and self.monit else 3
            case ["systemctl", "start" | "restart", name]:
                unit = self.units[name]
                code = 1 if unit["state"] == "failed" else 0
                unit["pid"] += 0 if code else 1
            case ["monit", "-B", "summary"]:
                self.obey()
                states = {name: "OK" if watched else "Not monitored" for name, watched in self.monit.items()}
                text = "Monit 5.33.0 uptime: 1h\n" + "".join(
                    f" {name:20} {state:20} Process  \n" for name, state in states.items()
                )
                code = 0 if self.monit else 1
            case ["monit", "-g", "services", "monitor" | "unmonitor" as verb]:
                self.asked = self.asked or [self.slow, verb == "monitor"]
            case ["monit", "monitor", "all"]:
                self.asked = [0, True]
        if check and code:
            raise subprocess.CalledProcessError(code, command)
        return subprocess.CompletedProcess(command, code, text)

    def show(self, name, properties):
        """Return those properties that a unit has."""
        unit = self.units[name]
        values = {"Id": name, "ActiveState": unit["state"], "ActiveEnterTimestampMonotonic": unit["since"] * 1000000}
        if not name.endswith(".timer"):
            values |= {"MainPID": unit["pid"], "NRestarts": unit["restarts"]}
        return "".join(f"{key}={value}\n" for key, value in values.items() if key in properties)

    def obey(self):
        """Have Monit do what it was asked for, once it comes to it."""
        if self.asked and self.asked[0] == 0:
            self.monit, self.asked = dict.fromkeys(self.monit, self.asked[1]), None
        elif self.asked:
            self.asked[0] -= 1

    def __call__(self, *arguments):
        """Run the program after a second; return its exit code and what it printed."""
        self.seconds += 1
        code = self.watch.main(*arguments)
        said = self.capsys.readouterr()
        return code, (said.out + said.err).strip()

    def cycle(self, seconds=0):
        """Run a cycle after so many seconds more."""
        self.seconds += seconds
        assert self("cycle")[0] == 0

    def read(self, name):
        """Return what is in a file of the state, None if there is none."""
        path = self.folder / name
        return path.read_text().strip() if path.exists() else None

    def starts(self):
        """Return what systemd was asked to start or restart."""
        verbs = ("systemctl start ", "systemctl restart ")
        return [command.removeprefix("systemctl ") for command in self.commands if command.startswith(verbs)]

    def ask(self, verb="start", times=1, seconds=10):
        """Have Monit ask for the shop, again and again."""
        for _ in range(times):
            self.seconds += seconds
            self(verb, "shop")


@pytest.fixture
def watch(monkeypatch, tmp_path):
    """The program, at work in a folder of its own."""
    module = load(PROJECT / "roles/monit/files/watch.py")
    settings = tmp_path / "watch.json"
    settings.write_text(json.dumps(SETTINGS))
    run = tmp_path / "run"
    run.mkdir()
    for name, value in {
        "SETTINGS": settings,
        "RUN": run,
        "PAUSED": run / "paused",
        "FSTAB": tmp_path / "fstab",
    }.items():
        monkeypatch.setattr(module, name, value)
    return module


@pytest.fixture
def host(watch, monkeypatch, capsys):
    """The host that it works on."""
    host = Host(watch, watch.RUN, capsys)
    monkeypatch.setattr(watch, "time", host)
    monkeypatch.setattr(watch, "run", host.run)
    log = SimpleNamespace(LOG_NOTICE=5, syslog=lambda _, text: host.log.append(text))
    monkeypatch.setattr(watch, "syslog", log)
    return host


# What Monit is shown of the processes


def test_monit_is_told_of_each_process(host):
    host.units["beat.service"]["pid"] = 0
    host.cycle()
    assert host.read("shop.pid") == "10"
    assert host.read("beat.pid") is None
    assert host("check") == (0, "MONIT OK: 2 services are watched")


def test_a_process_that_died_is_gone(host):
    host.cycle()
    host.units["shop"]["pid"] = 0
    host.cycle()
    assert host.read("shop.pid") is None


def test_a_restart_on_purpose_is_followed_and_a_death_after_it_held_back(host):
    host.units["shop"]["restarts"] = 3
    host.cycle()
    host.units["shop"] |= {"pid": 20, "restarts": 0}
    host.cycle()
    assert host.read("shop.pid") == "20"
    assert host.starts() == []
    host.units["shop"] |= {"pid": 30, "restarts": 1}
    host.cycle()
    assert host.read("shop.pid") is None


def test_a_restart_by_systemd_is_held_back_until_monit_asks(host):
    host.cycle()
    host.units["shop"] |= {"pid": 20, "restarts": 1}
    host.cycle()
    host.cycle()
    assert host.read("shop.pid") is None
    host.ask()
    assert host.starts() == ["start shop"]
    host.cycle()
    assert host.read("shop.pid") == "21"
    host.cycle()
    assert host.read("shop.pid") == "21"


def test_a_restart_by_systemd_that_monit_missed_is_history_after_a_while(host):
    host.cycle()
    host.units["shop"] |= {"pid": 20, "restarts": 1}
    host.cycle()
    host.cycle(CALM - 2)
    assert host.read("shop.pid") is None
    host.cycle(2)
    assert host.read("shop.pid") == "20"


def test_what_was_restarted_before_the_first_look_is_nothing_new(host):
    host.units["shop"]["restarts"] = 7
    host.cycle()
    assert host.read("shop.pid") == "10"


def test_a_unit_without_processes_has_none_and_shifts_no_other(host, watch):
    watch.SETTINGS.write_text(json.dumps(SETTINGS | {"services": {"night": "night.timer", "shop": "shop"}}))
    host.units["night.timer"] = {"state": "active", "since": 0}
    host.cycle()
    assert (host.read("night.pid"), host.read("shop.pid")) == (None, "10")
    assert host("start", "night")[0] == 0
    assert host.starts() == []


def test_a_systemd_that_does_not_answer_takes_no_process_away_and_fails_the_cycle(host):
    host.cycle()
    looked = host.read("cycle")
    host.answers["systemctl", "show"] = (1, "")
    with pytest.raises(subprocess.CalledProcessError):
        host("cycle")
    assert host.read("shop.pid") == "10"
    assert host.read("cycle") == looked


def test_a_host_without_services_is_well(host, watch):
    watch.SETTINGS.write_text(json.dumps(SETTINGS | {"services": {}}))
    host.monit = {}
    host.answers["monit"] = (0, "Monit 5.33.0 uptime: 1h\n web1                 OK                   System\n")
    host.cycle()
    assert host("check") == (0, "MONIT OK: 0 services are watched")
    assert host("pause", "60")[0] == 0


# Attempts


def test_a_service_that_is_missing_is_started(host):
    host.units["shop"]["pid"] = 0
    assert host("start", "shop")[0] == 0
    assert host.starts() == ["start shop"]
    assert host.log == ["start of shop, attempt 1"]
    assert host.commands.index("systemctl reset-failed shop") < host.commands.index("systemctl start shop")
    assert host.read("shop.attempts") == "1 1001 1001"


def test_a_service_that_runs_already_is_not_started(host):
    host.ask()
    assert host.starts() == []
    assert host.read("shop.attempts") is None


def test_a_service_that_hangs_is_restarted_but_not_within_its_grace(host):
    host.units["shop"]["since"] = 950
    host("restart", "shop")
    assert host.starts() == []
    assert host.read("shop.attempts") == "0 0 1001"
    host.cycle()
    assert host("check")[0] == 0, "no attempt was made that it could rest after"
    host("restart", "shop")
    host.units["shop"]["state"] = "activating"
    host.seconds = 1100
    host("restart", "shop")
    assert host.starts() == []
    host.units["shop"]["state"] = "active"
    host("restart", "shop")
    assert host.starts() == ["restart shop"]


def test_what_does_not_start_rests_is_tried_again_and_is_given_up(host):
    host.units["shop"] |= {"pid": 0, "state": "failed"}
    host.ask(times=2)
    host.cycle()
    assert host("check")[0] == 0, "it is not known yet whether it has to rest"
    host.ask()
    assert len(host.starts()) == 2
    assert host("check") == (1, "MONIT WARNING: shop rests after 2 attempts")
    host.ask(times=7)
    assert len(host.starts()) == 2, "the rest is not over"
    host.ask(times=5)
    host.cycle()
    assert len(host.starts()) == 4, "a row of attempts, then no more"
    assert host.read("shop.given-up") == "4 attempts in a row were in vain"
    assert host.log[-1] == "gave up shop after 4 attempts"
    assert host.log.count(host.log[-1]) == 1
    assert host.read("shop.attempts").startswith("4 ")
    assert host("check") == (2, "MONIT CRITICAL: shop is given up")


@pytest.mark.parametrize(
    ("count", "ago", "may"),
    [(0, 1000, True), (1, 0, True), (2, 99, False), (2, 100, True), (3, 0, True), (4, 299, False), (4, 300, True)]
    + [(5, 0, True), (6, 900, False), (7, 900, False)],
)
def test_each_row_of_attempts_has_its_rest(host, count, ago, may):
    settings = SETTINGS | {"rests": [100, 300]}
    assert host.watch.may_try("shop", count, 1000 - ago, settings) == may
    assert (host.read("shop.given-up") is not None) == (count >= 6)


def test_attempts_are_forgotten_once_a_service_is_left_alone(host):
    host.units["shop"] |= {"pid": 0, "state": "failed"}
    host.ask(times=30)
    host.cycle(CALM)
    assert host.read("shop.given-up") is not None, "it does not run"
    host.units["shop"] |= {"pid": 30, "state": "active"}
    host.ask("restart")
    host.cycle(CALM - 2)
    assert host.read("shop.given-up") is not None, "Monit was not happy with it a while ago"
    host.cycle(2)
    assert host.read("shop.given-up") is None
    assert host.read("shop.attempts") is None


def test_one_attempt_at_a_time(host, watch):
    host.units["shop"]["pid"] = 0
    with watch.lock("shop") as mine:
        assert mine
        host.ask()
    assert host.starts() == []


def test_a_stranger_is_refused(host):
    assert host("start", "orphan") == (3, "orphan is not a service of this host")


def test_mending_gives_another_chance_and_watches_again(host):
    host.units["shop"] |= {"pid": 0, "state": "failed"}
    host.ask(times=30)
    host.monit["beat"] = False
    host.cycle()
    assert host("check") == (2, "MONIT CRITICAL: shop is given up, not watched: beat")
    assert host("mend") == (0, "shop was given up\nbeat was not watched")
    assert host("check")[0] == 0
    host.cycle(60)
    assert host("check")[0] == 0
    assert host("mend") == (0, "")
    before = len(host.starts())
    host.ask()
    assert len(host.starts()) == before + 1


def test_mending_waits_for_an_attempt_that_is_being_made(host, watch):
    began = host.seconds
    with watch.lock("shop"):
        host("mend")
    assert 120 <= host.seconds - began < 130


def test_mending_waits_for_a_monit_that_has_just_started(host, monkeypatch):
    host.monit = {}
    monkeypatch.setattr(host, "sleep", lambda seconds: host.monit.update(shop=False, beat=True))
    assert host("mend") == (0, "shop was not watched")


def test_mending_leaves_a_pause_alone(host):
    host("pause", "600")
    assert host("mend") == (0, "")
    host.cycle()
    assert not any(host.monit.values())


# Pauses


def test_a_pause_begins_once_monit_has_done_so_and_ends_by_itself(host):
    host.slow = 13
    assert host("pause", "60") == (0, "")
    assert host.monit == {"shop": False, "beat": False}
    assert host.commands.count("monit -g services unmonitor") == 2, "asked again when it did not come about"
    host.units["shop"]["pid"] = 0
    host.cycle(40)
    host.ask(times=1, seconds=0)
    assert host.starts() == []
    code, said = host("check")
    assert (code, said[:41]) == (1, "MONIT WARNING: all services are paused fo")
    host.slow = 0
    host.cycle(60)
    host.cycle()
    assert host.monit == {"shop": True, "beat": True}
    assert host.read("paused") is None
    host.ask()
    assert host.starts() == ["start shop"]


def test_the_end_of_a_pause_is_no_reason_to_worry(host):
    host("pause", "4")
    host.slow = 3
    for _ in range(7):
        host.cycle(15)
        assert "not watched" not in host("check")[1]
    assert all(host.monit.values())
    assert host.read("paused") is None


def test_deaths_in_a_pause_are_nobodys_business(host):
    host.cycle()
    host("pause", "60")
    host.units["shop"] |= {"pid": 20, "restarts": 1}
    host.cycle()
    host.cycle(60)
    host.cycle()
    assert host.read("shop.pid") == "20"


def test_a_pause_outlives_a_monit_that_forgot_it(host):
    host("pause", "600")
    host.monit = {"shop": True, "beat": True}
    host.cycle()
    host.cycle(60)
    assert not any(host.monit.values())
    host("pause", "--end")
    assert host("check")[0] == 0, "what a pause left alone was not looked at"


def test_a_second_pause_counts_from_then_on_and_can_be_ended(host):
    host.monit["beat"] = False
    host.cycle()
    assert host("check") == (2, "MONIT CRITICAL: not watched: beat")
    host("pause", "60")
    host("pause", "600")
    assert host("check") == (1, "MONIT WARNING: all services are paused for 599 s")
    host("mend")
    host.cycle(300)
    assert not any(host.monit.values())
    assert host("pause", "--end") == (0, "")
    assert all(host.monit.values())
    assert host.read("paused") is None
    asked = len(host.commands)
    assert host("pause", "0") == (0, "")
    assert len(host.commands) == asked, "there was nothing to end"


def test_a_pause_needs_no_monit(host):
    host.monit = {}
    assert host("pause", "60") == (0, "")
    assert host.read("paused") == "1061"
    assert host("pause", "--end") == (0, "")
    assert host.read("paused") is None


def test_a_monit_that_does_not_answer_is_told_of(host):
    host.answers["monit"] = (1, "")
    code, said = host("pause", "60")
    assert code == 1
    assert "Monit does not answer" in said
    assert host.read("paused") == "1061", "it holds once Monit answers"
    assert host("pause", "--end")[0] == 1
    assert host.read("paused") == "0", "the next cycle ends it"


@pytest.mark.parametrize("seconds", ["soon", "-5", "86401", "1.5", "", "--help"])
def test_only_a_time_is_a_time(host, seconds):
    code, said = host("pause", seconds)
    assert code == 2
    assert said.startswith("usage: monit-pause SECONDS | --end")
    assert host("pause")[0] == 2
    assert host("pause", "60", "seconds")[0] == 2
    assert host.read("paused") is None


def test_a_cycle_leaves_a_pause_that_is_just_being_made_or_ended_alone(host, watch):
    host("pause", "60")
    host.monit = {"shop": True, "beat": True}
    host.commands.clear()
    with watch.lock("pause"):
        host.cycle()
        host.cycle(60)
    assert "monit -g services unmonitor" not in host.commands
    assert host.read("paused") is not None


# Nagios, and damage


def test_a_monit_that_no_longer_looks_is_critical(host):
    host.cycle()
    host.seconds += 60 + 12 * SETTINGS["interval"] + 1
    assert host("check") == (2, "MONIT CRITICAL: Monit does not look after the services")


def test_what_somebody_unwatched_is_found_once_a_minute(host):
    host.cycle()
    host.monit["beat"] = False
    host.cycle(30)
    assert host("check")[0] == 0
    host.cycle(30)
    assert host("check") == (2, "MONIT CRITICAL: not watched: beat")


@pytest.mark.parametrize("damage", ["", "\n", "what", "1 2", "\x001"])
def test_damaged_files_stop_nothing(host, damage):
    host.units["shop"] |= {"restarts": 2}
    host.cycle()
    names = ("pid", "restarts", "attempts", "died")
    for name in [*(f"shop.{name}" for name in names), "paused", "looked", "unwatched", "cycle"]:
        (host.folder / name).write_text(damage)
    host("check")
    host.cycle()
    host.cycle()
    assert host.read("shop.pid") == "10"
    assert host.read("paused") is None
    assert host("check")[0] == 0
    host.units["shop"]["pid"] = 0
    host.ask()
    assert host.starts() == ["start shop"]


def test_the_state_can_be_read_by_nagios_and_nothing_half_written_stays(host):
    host.cycle()
    assert (host.folder / "shop.pid").stat().st_mode & 0o777 == 0o666 & ~os.umask(os.umask(0o022))
    assert not [path.name for path in host.folder.iterdir() if path.name.startswith(".")]


def test_bad_usage_shows_the_commands(host):
    for arguments in ([], ["--help"]):
        code, said = host(*arguments)
        assert code == 3
        assert "certificates DAYS PATH..." in said


# The host

DISK = "36 35 {device} / {path} rw,noatime shared:1 master:2 - {kind} /dev/sda1 {options}\n"


@pytest.fixture
def mounted(watch, monkeypatch, tmp_path):
    """Mount filesystems, each a dict of what differs from an ext4 at /srv, and say how full all are."""

    def mount(*mounts, space=(100, 50, 45), inodes=(100, 50)):
        lines = [
            DISK.format(
                **{"device": f"8:{number}", "path": "/srv", "kind": "ext4", "options": "rw,errors=remount-ro"} | one
            )
            for number, one in enumerate(mounts)
        ]
        table = tmp_path / "mountinfo"
        table.write_text("".join(lines))
        monkeypatch.setattr(watch, "MOUNTS", table)
        size = SimpleNamespace(
            f_blocks=space[0], f_bfree=space[1], f_bavail=space[2], f_files=inodes[0], f_ffree=inodes[1]
        )

        def statvfs(path):
            if path == "/gone":
                raise PermissionError
            return size

        monkeypatch.setattr(watch.os, "statvfs", statvfs)

    return mount


@pytest.mark.parametrize(
    ("sizes", "problems"),
    [
        ({}, []),
        # As df counts: what is used of what is not root's, rounded up.
        ({"space": (1000, 150, 149)}, ["/srv is full to 86% of its space"]),
        ({"space": (1000, 150, 150)}, []),
        ({"inodes": (1000, 100)}, ["/srv is full to 90% of its inodes"]),
        ({"inodes": (0, 0)}, []),
        ({"space": (0, 0, 0)}, []),
        (
            {"space": (100, 0, 0), "inodes": (9, 0)},
            ["/srv is full to 100% of its inodes", "/srv is full to 100% of its space"],
        ),
    ],
)
def test_full_filesystems(host, mounted, sizes, problems):
    mounted({}, **sizes)
    assert host("filesystems", "85", "85") == (len(problems), "\n".join(problems) or "all is well")


def test_which_filesystems_count(host, mounted):
    mounted(
        {"path": "/", "kind": "overlay"},
        {"path": "/mnt/with\\040space\\134"},
        {"path": "/var", "kind": "xfs", "device": "9:9"},
        {"path": "/srv/bound", "kind": "xfs", "device": "9:9"},
        {"path": "/net", "kind": "nfs4"},
        {"path": "/gone"},
        {"path": "/dev/shm", "kind": "tmpfs"},
        space=(100, 10, 10),
    )
    code, said = host("filesystems", "89.5", "85")
    assert code == 4
    assert [line.removesuffix(" is full to 90% of its space") for line in said.splitlines()] == [
        "/",
        "/dev/shm",
        "/mnt/with space\\",
        "/var",
    ]


@pytest.mark.parametrize("fstab", [None, "", "#/dev/sda1 /srv ext4 ro 0 0\n\n/dev/sdb1 /usr ext4 defaults,ro 0 2\n"])
def test_filesystems_that_the_kernel_made_read_only(host, watch, mounted, fstab):
    if fstab is not None:
        watch.FSTAB.write_text(fstab)
    mounted({"options": "ro"}, {"path": "/gone", "options": "ro"}, {"path": "/run", "kind": "tmpfs", "options": "ro"})
    assert host("filesystems", "85", "85") == (2, "/gone is read-only\n/srv is read-only")
    watch.FSTAB.write_text("/dev/sda1 /srv ext4 noatime,ro 0 2\nUUID=1 /gone ext4 ro 0 2")
    assert host("filesystems", "85", "85") == (0, "all is well")


def test_the_mounts_of_this_machine_can_be_read(watch):
    assert "/" in [path for path, _, _ in watch.mounts()]


def test_failed_units_but_for_the_services(host):
    host.answers["systemctl", "list-units"] = (
        0,
        "".join(
            f"{unit} loaded failed failed It\n" for unit in ("shop.service", "beat.service", "shop.timer", "a.service")
        ),
    )
    assert host("failed") == (2, "a.service failed\nshop.timer failed")
    host.answers["systemctl", "list-units"] = (0, "")
    assert host("failed") == (0, "all is well")


def test_there_are_never_more_problems_than_an_exit_code_holds(host):
    host.answers["systemctl", "list-units"] = (0, "".join(f"{number}.mount loaded failed\n" for number in range(300)))
    assert host("failed")[0] == 100


CHRONY = "CB007103,ntp.example,3,1700000000.1,{},-0.000012,0.00002,-5.1,0.0,0.03,0.01,0.001,64.5,{}\n"


@pytest.mark.parametrize(
    ("daemon", "text", "problem"),
    [
        ("chrony", CHRONY.format("0.000012345", "Normal"), None),
        ("chrony", CHRONY.format("-1.500000000", "Normal"), "the clock is off by 1.5 s"),
        ("chrony", CHRONY.format("0.000000000", "Not synchronised"), "chrony has no source that it trusts"),
        ("systemd-timesyncd", "       Server: 1.2.3.4\n       Offset: +1.234ms\n", None),
        ("systemd-timesyncd", "       Offset: -999ms 900us\n", None),
        ("systemd-timesyncd", "       Offset: -1min 2.5s\n", "the clock is off by 62.5 s"),
        ("systemd-timesyncd", "       Offset: +3w 2h\n", "the clock is off by 266400 s"),
        ("systemd-timesyncd", "       Server: n/a\n", "systemd-timesyncd has not heard from a server"),
        (None, "", None),
    ],
)
def test_the_clock(host, monkeypatch, daemon, text, problem):
    monkeypatch.setattr(host.watch, "active", lambda *units: daemon in units)
    host.answers["chronyc"] = host.answers["timedatectl"] = (0, text)
    assert host("clock", "1") == ((1, problem) if problem else (0, "all is well"))


def test_certificates(watch, tmp_path, capsys):
    paths = [tmp_path / "soon.pem", tmp_path / "late.pem", tmp_path / "none.pem", tmp_path / "empty.pem"]
    for path, days in zip(paths, ("2", "200"), strict=False):
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=a",
        ]
        subprocess.run([*command, "-days", days, "-keyout", path, "-out", path], check=True, capture_output=True)
    paths[3].touch()
    assert watch.main("certificates", "21", *map(str, paths)) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{paths[3]} cannot be read, or is no certificate"
    assert lines[1] == f"{paths[2]} cannot be read, or is no certificate"
    assert lines[2].startswith(f"{paths[0]} expires on ")
    assert lines[2].endswith(" GMT")


def test_the_program_starts_by_itself(tmp_path):
    program = PROJECT / "roles/monit/files/watch.py"
    done = subprocess.run(
        [program.read_text().splitlines()[0][2:].split()[0], "-IS", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "mend" in done.stderr
