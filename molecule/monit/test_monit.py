"""Monit as those meet it who are woken by its mails, and those who work on a host that it watches."""

import time
from contextlib import contextmanager
from shlex import quote

import pytest
from support import eventually, seconds_until

SERVICES = {
    "ssh": "ssh",
    "memcached": "memcached",
    "redis": "redis-server",
    "shop": "shop",
    "vault": "vault",
    "beat": "beat",
}
PORTS = {"ssh": 22, "memcached": 11211, "redis": 6379, "shop": 8080, "vault": 8443}
CYCLE_SECONDS = 2
# It holds for the production's interval too: see the README.
RESTART_SECONDS = 30


class Inbox:
    """Mails by what they are about, that is, their subjects without the site and the host."""

    def __init__(self, mails):
        self.mails = mails

    def subjects(self):
        """Return what they are about."""
        return [subject.partition(": ")[2] for subject in self.mails.subjects()]

    def find(self, subject):
        """Return the mails with the subject."""
        return [mail for mail in self.mails.all() if mail["subject"].endswith(f": {subject}")]


def show(host, unit, key):
    """Return a property of a unit."""
    return host.check_output("systemctl show --property=%s --value %s", key, unit)


def answers(host, name):
    """Whether the service runs, and listens if it has a port."""
    listens = name not in PORTS or host.check_output(f"ss -Hltn sport = :{PORTS[name]}")
    return bool(listens) and show(host, SERVICES[name], "ActiveState") == "active"


def check(host):
    """Ask as Nagios would: return the exit code and the text."""
    command = "setpriv --reuid=nobody --regid=nogroup --clear-groups /usr/local/sbin/monit-check"
    done = host.run(command)
    return done.rc, done.stdout.strip()


def states(host, kind="Process"):
    """Return what Monit says of the checks of a kind, by their names; nothing if it does not answer."""
    lines = host.run("monit -B summary").stdout.splitlines()
    found = [line.split(maxsplit=1) for line in lines if line.rstrip().endswith(f" {kind}")]
    return {name: rest.rpartition(kind)[0].strip() for name, rest in found}


def pauses(host):
    """Whether no service is watched."""
    return set(states(host).values()) == {"Not monitored"}


def well(host):
    """Whether all services are watched and nothing is wrong with them."""
    return set(states(host).values()) == {"OK"} and check(host)[0] == 0


@pytest.fixture(scope="session")
def address(variables):
    return variables("web1", "address")


@pytest.fixture
def inbox(host, mails):
    """The inbox, once all is well again."""
    host.check_output("monit monitor all")
    eventually(lambda: well(host))
    time.sleep(CYCLE_SECONDS)
    return Inbox(mails.after(time.time()))


@contextmanager
def broken(host):
    """Have the shop not start."""
    host.check_output("touch /run/shop-is-broken")
    try:
        yield
    finally:
        host.check_output("rm -f /run/shop-is-broken")


def test_what_runs_here_is_watched_and_nothing_else(host):
    assert set(states(host)) == set(SERVICES)
    eventually(lambda: well(host))


def test_a_certificate_that_expires_soon_was_mailed(mails):
    mail = eventually(lambda: Inbox(mails.after(0)).find("certificate-expiry: Status failed"), 90)[0]
    assert "certificate /etc/ssl/expires-soon.pem valid for 21 days" in mail["text"]
    assert "Certificate will expire" in mail["text"]


def test_a_killed_service_runs_again_and_one_mail_tells_of_it(host, inbox, address):
    for unit in SERVICES.values():
        host.check_output("systemctl kill --kill-who=main --signal=KILL %s", unit)
    began = time.monotonic()
    restarted, mailed = {}, {}

    def all_told():
        subjects = inbox.subjects()
        now = round(time.monotonic() - began, 1)
        for name in SERVICES:
            if name not in restarted and answers(host, name):
                restarted[name] = now
            if name not in mailed and f"{name}: Does not exist" in subjects:
                mailed[name] = now
        return len(restarted) == len(mailed) == len(SERVICES)

    eventually(all_told)
    print({name: (restarted[name], mailed[name]) for name in SERVICES})
    assert max(restarted.values()) < RESTART_SECONDS
    eventually(lambda: well(host))
    eventually(lambda: len(inbox.subjects()) >= 2 * len(SERVICES))
    expected = [f"{name}: {event}" for name in SERVICES for event in ("Does not exist", "Exists")]
    assert sorted(inbox.subjects()) == sorted(expected)

    (mail,) = inbox.find("memcached: Does not exist")
    assert mail["subject"] == "[games.example] web1: memcached: Does not exist"
    assert mail["recipients"] == ["admin@games.example"]
    lines = dict(line.split(":", 1) for line in mail["text"].splitlines() if ":" in line)
    assert lines["Host"].strip() == "web1"
    assert f"unit memcached runs; {address}:11211 speaks memcached; memory below 512 MB" in lines["Expected"]
    assert "process is not running" in lines["Seen"]
    assert lines["Monit did"].strip().startswith("restart")
    assert "journalctl -u memcached" in lines["Look"]


def test_a_restart_on_purpose_is_nobodys_business(host, inbox):
    before = show(host, "memcached", "MainPID")
    host.check_output("systemctl restart memcached shop")
    after = show(host, "memcached", "MainPID")
    assert after != before
    eventually(lambda: host.run("cat /run/monit/memcached.pid").stdout.strip() == after)
    time.sleep(3 * CYCLE_SECONDS)
    assert inbox.subjects() == []


def test_a_service_that_hangs_is_restarted(host, inbox):
    before = {name: show(host, name, "MainPID") for name in ("shop", "beat")}
    host.check_output("systemctl kill --signal=STOP shop")
    host.check_output("rm /srv/beat-works")
    try:
        for name, pid in before.items():
            seconds = seconds_until(
                lambda name=name, pid=pid: show(host, name, "MainPID") not in ("0", pid), RESTART_SECONDS, "it runs"
            )
            print(f"{name}: {seconds:.1f} s")
    finally:
        host.check_output("touch /srv/beat-works")
    eventually(lambda: inbox.find("shop: Connection succeeded") and inbox.find("beat-probe: Status succeeded"))
    assert sorted(inbox.subjects()) == [
        "beat-probe: Status failed",
        "beat-probe: Status succeeded",
        "shop: Connection failed",
        "shop: Connection succeeded",
    ]


def test_what_does_not_start_is_given_up_and_gets_another_chance_by_a_run(host, inbox, run):
    def starts():
        return host.check_output("journalctl --unit shop --grep 'Starting shop' --quiet | wc -l")

    with broken(host):
        host.check_output("systemctl stop shop")
        eventually(lambda: inbox.find("shop: Timeout"))
        eventually(lambda: check(host) == (2, "MONIT CRITICAL: not watched: shop"))
        started = starts()
        time.sleep(3 * CYCLE_SECONDS)
        assert starts() == started
        assert sorted(inbox.subjects()) == ["shop: Does not exist", "shop: Timeout"]
        (mail,) = inbox.find("shop: Timeout")
        assert "restarted 4 times" in mail["text"]
    host.check_output("monit unmonitor memcached")
    eventually(lambda: "not watched: memcached shop" in check(host)[1])
    assert show(host, "shop", "ActiveState") == "failed"
    done = run()
    assert done.ok, done.output
    assert done.changed == {"web1": 1}
    eventually(lambda: show(host, "shop", "ActiveState") == "active")
    eventually(lambda: inbox.find("shop: Exists"))
    eventually(lambda: well(host))


def test_what_was_given_up_is_watched_again_once_somebody_starts_it(host, inbox):
    with broken(host):
        host.check_output("systemctl stop shop")
        eventually(lambda: check(host) == (2, "MONIT CRITICAL: not watched: shop"))
    host.check_output("systemctl start shop")
    eventually(lambda: well(host))


def test_a_service_that_starts_slowly_is_not_restarted_in_its_grace_time(host, inbox, variables):
    host.check_output(f"echo {variables('web1', 'monit_grace') + CYCLE_SECONDS} > /run/shop-is-slow")
    try:
        host.check_output("systemctl kill --signal=KILL shop")
        eventually(lambda: show(host, "shop", "MainPID") != "0")
        started = show(host, "shop", "MainPID")
        eventually(lambda: answers(host, "shop"))
    finally:
        host.check_output("rm /run/shop-is-slow")
    time.sleep(2 * CYCLE_SECONDS)
    assert show(host, "shop", "MainPID") == started
    assert sorted(inbox.subjects()) == ["shop: Does not exist", "shop: Exists"]


def test_a_pause_ends_by_itself(host, inbox):
    began = time.monotonic()
    host.check_output("monit-pause 8")
    assert pauses(host)
    host.check_output("systemctl stop beat")
    host.check_output("systemctl kill --signal=KILL memcached")
    while time.monotonic() < began + 5:
        assert show(host, "beat", "ActiveState") == "inactive"
        assert inbox.subjects() == []
        time.sleep(0.5)
    eventually(lambda: show(host, "beat", "ActiveState") == "active")
    eventually(lambda: well(host))
    assert "memcached: Does not exist" not in inbox.subjects()


def test_a_pause_outlives_a_run_a_restart_and_a_second_pause_and_can_be_ended(host, inbox, run):
    host.check_output("monit-pause 3")
    host.check_output("monit-pause 600")
    host.check_output("systemctl stop beat")
    host.check_output("systemctl reload monit")
    host.check_output("systemctl restart monit")
    done = run()
    assert done.ok, done.output
    assert not done.changed
    eventually(lambda: pauses(host))
    time.sleep(2 * CYCLE_SECONDS)
    assert pauses(host)
    code, text = check(host)
    assert code == 1
    assert "all services are paused" in text
    assert show(host, "beat", "ActiveState") == "inactive"
    assert "beat: Does not exist" not in inbox.subjects()

    host.check_output("monit-pause --end")
    assert not any("Not monitored" in state for state in states(host).values())
    eventually(lambda: show(host, "beat", "ActiveState") == "active")
    host.check_output("monit-pause 0")
    assert host.run("monit-pause soon").rc == 2


def test_a_pause_does_not_need_monit(host, inbox):
    host.check_output("systemctl stop monit")
    host.check_output("monit-pause 4")
    host.check_output("systemctl start monit")
    eventually(lambda: pauses(host))
    eventually(lambda: well(host))
    host.check_output("systemctl stop monit")
    host.check_output("monit-pause 600")
    host.check_output("monit-pause --end")
    host.check_output("systemctl start monit")
    eventually(lambda: well(host))


def test_the_hosts_own_troubles_are_mailed(host, inbox):
    host.check_output("mkdir -p /srv/full && mount -t tmpfs -o size=10M tmpfs /srv/full")
    host.check_output("dd if=/dev/zero of=/srv/full/data bs=1M count=9 status=none")
    host.check_output("touch /run/reboot-required")
    host.run("systemd-run --quiet --unit backup false")
    try:
        (mail,) = eventually(lambda: inbox.find("local-filesystems: Status failed"))
        assert "/srv/full 1MiB (10% inode" in mail["text"]
        (mail,) = eventually(lambda: inbox.find("failed-units: Status failed"))
        assert "backup.service failed" in mail["text"]
        assert inbox.find("reboot-required: Does exist")
    finally:
        host.check_output("umount /srv/full; systemctl reset-failed backup; rm /run/reboot-required")
    eventually(lambda: inbox.find("local-filesystems: Status succeeded"))
    eventually(lambda: inbox.find("failed-units: Status succeeded"))


FINDMNT = """#!/bin/sh
case $1 in
    -srno) echo /srv/archive ;;
    *) printf '%s\\n' 'rw,errors=remount-ro /' 'ro,discard /srv/data' 'ro /srv/archive' ;;
esac
"""


def test_a_filesystem_that_is_read_only_is_a_problem_unless_fstab_or_its_mount_has_it_so(host):
    check = "s/^check program read-only-filesystems with path .(.*). with timeout .*/\\1/p"
    command = host.check_output("sed --quiet --regexp-extended %s /etc/monit/monitrc", check)
    host.check_output("mount -o remount,bind,ro /etc/hosts")
    try:
        assert "ro" in host.check_output("findmnt --noheadings --output VFS-OPTIONS /etc/hosts").split(",")
        assert host.run(command).rc == 1
    finally:
        host.check_output("mount -o remount,bind,rw /etc/hosts")
    host.check_output(
        "mkdir --parents /srv/bin && printf %%s %s > /srv/bin/findmnt && chmod +x /srv/bin/findmnt", FINDMNT
    )
    assert host.check_output(f"PATH=/srv/bin:$PATH {command}") == "/srv/data"


def test_a_mail_that_nobody_takes_arrives_later(host, mails, inbox):
    mails.refuse(600)
    host.check_output("systemctl kill --signal=KILL beat")
    eventually(lambda: host.run("ls /var/lib/monit/events/* | grep -q .").succeeded)
    mails.refuse(0)
    eventually(lambda: inbox.find("beat: Does not exist"))


def test_the_page_is_for_this_host_and_those_who_know_the_password_to_look_at(host, address, variables):
    fetch = "curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}'"
    login = f"--user {quote('monit:' + variables('web1', 'monit_password'))}"
    assert host.check_output(f"{fetch} {login} http://127.0.0.1:2812/memcached") == "200"
    assert host.check_output(f"{fetch} http://127.0.0.1:2812/") == "401"
    assert host.check_output(f"{fetch} --user monit:wrong http://127.0.0.1:2812/") == "401"
    assert host.run(f"{fetch} {login} http://{address}:2812/").rc == 7
    host.run(f"{fetch} {login} --data action=stop http://127.0.0.1:2812/memcached")
    host.run("setpriv --reuid=nobody --regid=nogroup --clear-groups monit -c /etc/monit/monitrc unmonitor memcached")
    socket = "curl --silent --unix-socket /run/monit/socket --data action=unmonitor http://localhost/memcached"
    assert host.run(f"setpriv --reuid=nobody --regid=nogroup --clear-groups {socket}").rc == 7
    time.sleep(2 * CYCLE_SECONDS)
    assert states(host)["memcached"] == "OK"
    assert host.check_output("stat -c '%a %U' /etc/monit/monitrc") == "600 root"


def test_a_service_that_left_the_catalogue_is_left_alone_though_the_run_was_cut_off(host, inbox, converge, variables):
    fewer = {name: entry for name, entry in variables("web1", "monit_services").items() if name != "beat"}
    assert converge({"monit_services": fewer}, limit="web1", crash_after="Configure Monit").killed
    assert "beat" in states(host)
    assert converge({"monit_services": fewer}, limit="web1").ok
    eventually(lambda: set(states(host)) == set(SERVICES) - {"beat"})
    eventually(lambda: well(host))
    assert [subject for subject in inbox.subjects() if "certificate" not in subject] == []


def test_bad_values_are_refused_before_anything_changes_and_all_are_named(run, variables):
    services = variables("web1", "monit_services")
    shop = services["shop"] | {"probe": {"protocol": "gopher"}, "limits": {"memory": "plenty"}}
    done = run(
        {
            "monit_services": services | {"shop": shop, "orphan": {"port": 99999}},
            "monit_recipients": ["nobody"],
            "monit_limits": {"space": 101},
        }
    )
    assert not done.ok
    assert not done.changed
    for complaint in (
        "monit_services['shop'].probe.protocol is 'gopher'; it can be one of: http, https, memcached, mongodb",
        "monit_services['shop'].limits.memory is 'plenty'",
        "monit_services['orphan'].unit must name the systemd unit",
        "monit_services['orphan'].port is '99999'",
        "monit_recipients has 'nobody'",
        "monit_limits.space is '101",
    ):
        assert complaint in done.message
    done = run({"monit_limits": {"inodes": "plenty", "spaec": 90}})
    assert not done.ok
    assert not done.changed
    assert "inodes" in done.message
    assert "monit_limits.spaec" in done.message


def test_comes_back_after_its_own_death(host):
    host.check_output("systemctl kill --signal=KILL monit")
    eventually(lambda: host.run("monit -B summary").succeeded)
    eventually(lambda: well(host))
