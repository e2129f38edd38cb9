"""What the tests of all scenarios share: the hosts, their variables, and further runs of the scenario's playbook."""

import json
import os
import re
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import testinfra
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from support import Mails, docker

PROJECT = Path(__file__).parent.parent
SCENARIO = yaml.safe_load(Path(os.environ["MOLECULE_FILE"]).read_text())
INVENTORY = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
CONVERGE = SCENARIO["ansible"]["playbooks"]["converge"]
PLAYBOOK_SECONDS = 900


class Variables:
    """The variables of the inventory, templated: ``variables("web1", "address")``."""

    def __init__(self):
        init_plugin_loader()
        self.loader = DataLoader()
        # Where a play of the scenario finds group_vars.
        self.loader.set_basedir(str(Path(CONVERGE).parent))
        self.inventory = InventoryManager(loader=self.loader, sources=[str(INVENTORY)])
        self.manager = VariableManager(loader=self.loader, inventory=self.inventory)
        HostVars(inventory=self.inventory, variable_manager=self.manager, loader=self.loader)
        self.groups = {name: [host.name for host in group.get_hosts()] for name, group in self.inventory.groups.items()}

    def of(self, host):
        """Return all that the inventory says of the host."""
        names = self.manager.get_vars(host=self.inventory.get_host(host), include_hostvars=False)
        values = self.manager.get_vars(host=self.inventory.get_host(host))
        templar = Templar(loader=self.loader, variables=values)
        return {name: templar.template(values[name]) for name in names}

    def __call__(self, host, name):
        """Return the value that a play on the host would see, role defaults left out."""
        values = self.manager.get_vars(host=self.inventory.get_host(host))
        return Templar(loader=self.loader, variables=values).template(values[name])


@dataclass(frozen=True)
class Run:
    """A finished or killed run of ansible-playbook: its exit code and all that it printed."""

    code: int
    output: str

    @property
    def ok(self):
        """Whether the run finished and no host failed or was unreachable."""
        return self.code == 0

    @property
    def killed(self):
        """Whether the run was cut off, as by ``crash_after``."""
        return self.code == -signal.SIGKILL

    @property
    def changed(self):
        """The number of changed tasks of each host that has any."""
        recap = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", self.output, re.MULTILINE)
        return {host: int(count) for host, count in recap if int(count)}

    @property
    def message(self):
        """What was printed, its line breaks and indentation folded, so that a test can look for a sentence."""
        return " ".join(self.output.split())


def play(
    variables=None,
    *,
    playbook=CONVERGE,
    limit=None,
    tags=None,
    check=False,
    diff=False,
    verbosity=0,
    crash_after=None,
    during=None,
):
    """Run the scenario's playbook, or another one, and return the Run.

    ``variables`` go in as extra variables. ``crash_after`` names a task after which the run is killed, as if the
    control machine had lost power. ``during`` is a task and a command that is run when the task is done.
    """
    command = ["ansible-playbook", "--inventory", str(INVENTORY), playbook]
    command += ["--extra-vars", json.dumps(variables)] if variables else []
    command += ["--check"] if check else []
    command += ["--diff"] if diff else []
    command += ["--limit", limit] if limit else []
    command += ["--tags", tags] if tags else []
    command += ["-" + "v" * verbosity] if verbosity else []
    environment = os.environ | {"ANSIBLE_DEPRECATION_WARNINGS": "1", "ANSIBLE_FORCE_COLOR": "0"}
    if crash_after or during:
        environment |= {
            "ANSIBLE_CALLBACK_PLUGINS": str(PROJECT / "molecule/shared/callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "interfere",
            "INTERFERE_AFTER": crash_after or during[0],
        }
    if during:
        environment["INTERFERE_COMMAND"] = during[1]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PLAYBOOK_SECONDS,
        check=False,
    )
    return Run(done.returncode, done.stdout)


@pytest.fixture(scope="session")
def variables():
    """The inventory's variables and groups."""
    return Variables()


@pytest.fixture(scope="session")
def hosts(variables):
    """The scenario's hosts by name, as Testinfra sees them."""
    return {name: testinfra.get_host(f"docker://{variables(name, 'ansible_host')}") for name in variables.groups["all"]}


@pytest.fixture(scope="session")
def host(hosts):
    """The scenario's first host."""
    return next(iter(hosts.values()))


@pytest.fixture
def mails(hosts, variables):
    """The mails that come to the twin's mail server from now on."""
    container = variables(next(iter(hosts)), "twin_name") + "-mail"
    return Mails(f"http://{docker('port', container, '80').splitlines()[0]}", time.time())


@pytest.fixture(scope="session")
def unplugged(hosts):
    """Take a host away for as long as a block lasts, as a power cut does: ``with unplugged("web1"):``."""

    @contextmanager
    def take_away(name):
        container = hosts[name].backend.name
        docker("kill", container)
        try:
            yield
        finally:
            docker("start", container)
            hosts[name].check_output("timeout 30 systemctl is-system-running --wait || true")

    return take_away


@pytest.fixture(scope="session")
def move(hosts, variables):
    """Take a host from its address to another one, its processes running on: ``move("web1", address)``."""

    def take(name, address):
        container, network = hosts[name].backend.name, variables(name, "twin_name")
        docker("network", "disconnect", network, container)
        docker("network", "connect", "--ip", address, "--alias", name, network, container)

    return take


@pytest.fixture(scope="session")
def run():
    """Run a playbook that changes nothing, or that the test makes good itself: see ``play``."""
    return play


@pytest.fixture
def converge():
    """Run the scenario's playbook again: see ``play``. A test that changed anything ends with a plain run."""
    dirty = False

    def play_again(*arguments, **options):
        nonlocal dirty
        dirty = True
        return play(*arguments, **options)

    yield play_again
    if dirty:
        done = play()
        assert done.ok, done.output
