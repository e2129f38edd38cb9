"""The whole site as fixtures: its address, and the power switch of each of its hosts."""

import time

import pytest
from people import FIGURES, Site, docker


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
