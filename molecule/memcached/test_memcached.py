"""Memcached as a client meets it."""

import pytest


def ask(host, request, address="127.0.0.1", port=11211):
    """Send a request in Memcached's text protocol and return the answer."""
    program = (
        "import socket, sys\n"
        f"connection = socket.create_connection(({address!r}, {port}), timeout=3)\n"
        f"connection.sendall({request.encode()!r})\n"
        "connection.shutdown(socket.SHUT_WR)\n"
        "sys.stdout.write(connection.makefile().read())\n"
    )
    return host.check_output("python3 -c %s", program)


def limit_mib(host):
    """Return the memory limit of the running process, in MiB."""
    stats = dict(line.split()[1:3] for line in ask(host, "stats\r\n").splitlines() if line.startswith("STAT"))
    return int(stats["limit_maxbytes"]) // 2**20


def test_a_value_comes_back(host, variables):
    address = variables("cache1", "address")
    assert ask(host, "set game 0 60 4\r\nuno!\r\n", address) == "STORED"
    assert ask(host, "get game\r\n", address) == "VALUE game 0 4\nuno!\nEND"


def test_listens_where_it_is_told_to_and_not_on_udp(host, variables):
    listening = host.check_output("ss --no-header --listening --numeric --tcp --udp '( sport = 11211 )'").splitlines()
    sockets = sorted((line.split()[0], line.split()[4]) for line in listening)
    assert sockets == [("tcp", "127.0.0.1:11211"), ("tcp", f"{variables('cache1', 'address')}:11211")]


def test_the_limit_is_the_configured_one(host):
    assert limit_mib(host) == 64


def test_comes_back_after_its_process_is_killed(host):
    host.check_output("systemctl kill --signal=KILL memcached")
    host.check_output("timeout 10 sh -c 'until systemctl is-active memcached; do sleep 0.2; done'")


def test_a_run_killed_before_the_restart_is_repaired_by_the_next(host, converge):
    assert converge({"memcached_memory": 96}, crash_after="Configure Memcached").killed
    assert limit_mib(host) == 64
    assert converge({"memcached_memory": 96}).ok
    assert limit_mib(host) == 96


KILLS_DPKG = r"printf '#!/bin/sh\npkill -9 apt-get; pkill -9 -x dpkg; exit 101\n' > /usr/sbin/policy-rc.d"
HOLDS_LOCK = """
import fcntl, time
file = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
time.sleep(8)
"""


def test_a_run_finishes_what_dpkg_was_killed_in(host, run):
    """The first script that a package runs kills dpkg. A policy against starts is left behind."""
    host.check_output("apt-get purge --yes memcached")
    host.check_output(f"{KILLS_DPKG} && chmod 755 /usr/sbin/policy-rc.d")
    host.run("apt-get install --yes --no-install-recommends memcached")
    host.check_output(r"printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d")
    assert "dpkg was interrupted" in host.run("apt-get install --yes memcached").stderr
    host.check_output("systemd-run --collect python3 -c %s", HOLDS_LOCK)
    done = run()
    assert done.ok, done.output
    assert limit_mib(host) == 64
    assert host.run("dpkg --audit").stdout == ""
    assert not host.file("/usr/sbin/policy-rc.d").exists


def test_packages_come_although_a_source_is_gone(host, run, variables):
    gone = f"{variables('cache1', 'twin_archive_url')}/gone"
    source = f"deb [trusted=yes] {gone} stable main"
    host.check_output("apt-get purge --yes memcached && rm -f /var/lib/apt/periodic/update-success-stamp")
    host.check_output("echo %s > /etc/apt/sources.list.d/gone.list", source)
    host.check_output("touch -d yesterday /var/lib/apt/lists")
    try:
        done = run()
        assert done.ok, done.output
        assert gone in done.message
        assert limit_mib(host) == 64
    finally:
        host.check_output("rm /etc/apt/sources.list.d/gone.list")


SLOW_START = """
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStartPre=/bin/sh -c 'grep -q "^-m" /etc/memcached.conf; found=$?; sleep 3; exit $found'
"""


def test_a_unit_that_fails_over_and_over_runs_once_the_run_wrote_what_it_lacks(host, converge):
    """Each start reads the file at its beginning and ends 3 seconds later: the run meets one that is bound to fail."""
    host.check_output("mkdir -p /etc/systemd/system/memcached.service.d")
    host.check_output("printf %s > /etc/systemd/system/memcached.service.d/slow.conf", SLOW_START)
    host.check_output("rm /etc/memcached.conf && systemctl daemon-reload && systemctl restart --no-block memcached")
    try:
        done = converge()
        assert done.ok, done.output
        assert limit_mib(host) == 64
        assert "memcached.service.d/slow.conf changes memcached.service, and no role wrote it" in done.message
    finally:
        host.check_output("rm -r /etc/systemd/system/memcached.service.d")


@pytest.mark.parametrize(
    ("variable", "value"), [("memcached_memory", "plenty"), ("memcached_port", 99999), ("memcached_threads", 0)]
)
def test_a_bad_value_is_refused_and_the_service_stays_up(host, converge, variable, value):
    run = converge({variable: value})
    assert not run.ok
    assert variable in run.message
    assert not run.changed
    assert limit_mib(host) == 64
