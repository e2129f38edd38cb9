"""The whole site as fixtures: its address, and the power switch of each of its hosts."""

import time
from contextlib import contextmanager

import pytest
from people import FIGURES, Site
from support import docker


@pytest.fixture(scope="session")
def site(variables):
    """The site, at the port that Docker gave it."""
    port = docker("port", variables("lb1", "ansible_host"), "80").splitlines()[0]
    return Site(f"http://{port}", variables("lb1", "site_domain"))


@pytest.fixture
def well(run):
    """Wait until playbooks/verify.yml finds every service of every host well."""

    def wait(seconds=90):
        until = time.monotonic() + seconds
        while not (verified := run(playbook="playbooks/verify.yml")).ok:
            assert time.monotonic() < until, verified.output
            time.sleep(1)

    return wait


@pytest.fixture
def stopped(hosts):
    """Stop units of a host for as long as a block lasts, out of Monit's reach: ``with stopped("web1", "memcached"):``.

    With ``kill`` they die at once, as if they had run out of memory.
    """

    @contextmanager
    def stop(host, *units, kill=False):
        names = " ".join(units)
        hosts[host].check_output("/usr/local/sbin/monit-pause 600")
        if kill:
            hosts[host].check_output(f"systemctl kill --signal=KILL {names}")
        hosts[host].check_output(f"systemctl stop {names}")
        try:
            yield
        finally:
            hosts[host].check_output(f"systemctl start {names} && /usr/local/sbin/monit-pause --end")

    return stop


@pytest.fixture
def power(variables, well):
    """Pull the plug of a host and push it in again. After the test all hosts are on and well."""
    off = set()

    class Power:
        def off(self, host):
            off.add(host)
            docker("kill", variables(host, "ansible_host"))

        def on(self, host):
            docker("start", variables(host, "ansible_host"))
            off.discard(host)

    switch = Power()
    yield switch
    for host in list(off):
        switch.on(host)
    well()


def pytest_terminal_summary(terminalreporter):
    """Print what was measured."""
    for figure in FIGURES:
        terminalreporter.write_line(figure)
