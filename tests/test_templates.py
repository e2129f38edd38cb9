"""Templates with odd values: what is written is what the daemon's own grammar makes of them."""

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from conftest import PROJECT


@pytest.fixture(scope="session")
def render():
    """Render a role's template with its defaults, its internal variables, and the given ones; comments are left out."""
    init_plugin_loader()
    loader = DataLoader()

    def run(role, template, **variables):
        known = {"ansible_managed": "Managed"}
        for part in ("defaults", "vars"):
            path = PROJECT / f"roles/{role}/{part}/main.yml"
            known |= (loader.load_from_file(str(path), trusted_as_template=True) or {}) if path.exists() else {}
        text = trust_as_template((PROJECT / f"roles/{role}/templates/{template}").read_text())
        templar = Templar(loader=loader, variables=known | variables)
        return [line for line in templar.template(text).splitlines() if line.strip() and not line.startswith("#")]

    return run


def test_memcached_listens_on_every_address_of_either_family(render):
    lines = render("memcached", "memcached.conf.j2", memcached_listen_addresses=["10.0.0.1", "::1", "fd00::21"])
    assert [line for line in lines if line.startswith("-l")] == ["-l 10.0.0.1", "-l ::1", "-l fd00::21"]


def test_memcached_turns_udp_off_whatever_is_set(render):
    assert "-U 0" in render("memcached", "memcached.conf.j2", memcached_port=65535)


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (True, ["Banner yes"]),
        (False, ["Banner no"]),
        (0, ["Banner 0"]),
        ("/etc/a b", ["Banner /etc/a b"]),
        (["one", "two"], ["Banner one", "Banner two"]),
        ([], []),
        ("{{ 7 * 7 }}", ["Banner {{ 7 * 7 }}"]),
    ],
)
def test_a_setting_of_sshd_is_a_word_a_switch_or_several(render, value, lines):
    rendered = render("common", "sshd.conf.j2", common_sshd_settings={"Banner": value})
    assert [line for line in rendered if line.startswith("Banner")] == lines


def test_an_own_setting_of_the_kernel_takes_the_place_of_the_roles(render):
    lines = render("common", "sysctl.conf.j2", common_sysctl={"net.core.somaxconn": 1, "vm.odd": "a = b"})
    assert [line for line in lines if "somaxconn" in line] == ["net.core.somaxconn = 1"]
    assert "vm.odd = a = b" in lines


def test_no_admin_means_no_line_in_sudoers(render):
    assert render("common", "sudoers.j2", common_admins=[]) == []
    former = {"name": "bob", "state": "absent"}
    ada = {"name": "ada", "keys": ["key"]}
    assert render("common", "sudoers.j2", common_admins=[former, ada]) == ["ada ALL=(ALL:ALL) NOPASSWD: ALL"]


def test_mongodb_gets_yaml_with_settings_merged_into_the_roles_own(render):
    lines = render(
        "mongodb",
        "mongod.conf.j2",
        mongodb_address="fd00::31",
        mongodb_members=["fd00::31"],
        mongodb_settings={"net": {"maxIncomingConnections": 7}, "setParameter": {"odd": 'a "quoted": #value'}},
    )
    written = yaml.safe_load("\n".join(lines))
    assert written["net"]["maxIncomingConnections"] == 7
    assert "fd00::31" in written["net"]["bindIp"]
    assert written["setParameter"]["odd"] == 'a "quoted": #value'
    assert written["security"]["authorization"] == "enabled"
