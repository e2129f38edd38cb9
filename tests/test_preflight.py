"""Bad input is refused on the control machine, before any host is asked for anything."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from conftest import PROJECT
from test_certificates import certificate, key

SERVICES = yaml.safe_load((PROJECT / "group_vars/all/services.yml").read_text())["services"]
SHOP = {"group": "web", "unit": "shop"}


def preflight(playbook, variables, *arguments, limit="lb1,web1,data1,sentinel1,outside1", **environment):
    """Run the preflight alone with extra variables, for a host of each kind. No container need be there."""
    arguments = ["--limit", limit, *arguments]
    return playbook("playbooks/preflight.yml", "--extra-vars", json.dumps(variables), *arguments, **environment)


def test_the_inventory_passes_and_extra_variables_are_of_their_types(playbook):
    extra = ["redis_timeout=60", "solr_allow_jump=false", "mongodb_cache_size=0.5", "site_task_seconds=30"]
    done = preflight(playbook, {}, *(word for pair in extra for word in ("--extra-vars", pair)))
    assert done.returncode == 0, done.stdout


MISTAKES = {
    "memcached_memroy": 64,
    "memcached_memory": "plenty",
    "common_journal_size": "small",
    "solr_heap": "plenty",
    "monit_limits": {"space": "nearly all"},
    "prometheus_hosts": [{"name": "web1"}],
    "prometheus_probes": [{"name": "page", "url": "https://famigo.com", "staus": 200}],
    "address": "fd00:0:0:1::31",
    "services": SERVICES
    | {
        "lost": {"group": "serach", "unit": "lost"},
        "mistyped": SHOP | {"prot": 70},
        "old": SHOP | {"port": 70, "probe": {"protocol": "gopher"}},
        "rival": SHOP | {"port": 70, "unit": "rival"},
        "hungry": SHOP | {"limits": {"memory": "plenty"}},
        "mute": SHOP | {"probe": {"protocol": "tcp"}},
        "both": SHOP | {"probe": {"protocol": "tcp", "command": "/bin/true"}},
    },
    "site_secret_key": "{{ vault_site_secret_key }}",
}
COMPLAINTS = [
    "memcached_memroy is not a variable of the role memcached. Did you mean memcached_memory?",
    "argument 'memcached_memory' is of type str",
    "argument 'common_journal_size' is of type str",
    "argument 'solr_heap' is of type str",
    "argument 'space' is of type str found in 'monit_limits'",
    "missing required arguments: metrics found in prometheus_hosts['web1']",
    "prometheus_probes['page'].staus. Supported parameters include: ca, content,",
    "address of data1 is fd00:0:0:1::31, and must be one of IPv4",
    "address is fd00:0:0:1::31 for lb1, web1, web2, data1,",
    "web1 runs old and rival on the same port, 70",
    "services.lost names the group serach, which the inventory lacks.",
    "services.mistyped.prot. Supported parameters include: clients, group, limits, port, probe, unit.",
    "value of protocol must be one of: http, https, memcached, mongodb, redis, ssh, tcp, got: gopher found in"
    " services.old -> probe",
    "argument 'memory' is of type str found in 'services.hungry -> limits'",
    "parameters are mutually exclusive: protocol|command found in services.both -> probe",
    "services.mute has a probe and no port that it could ask.",
    "vault_site_secret_key",
]


def test_what_the_specs_and_the_catalogue_forbid_is_named_all_at_once(playbook):
    done = preflight(playbook, MISTAKES)
    assert done.returncode != 0
    assert not [complaint for complaint in COMPLAINTS if complaint not in done.message], done.message
    assert "changed=0" in done.message


@pytest.mark.parametrize(
    ("host", "variables", "complaint"),
    [
        ("web1", {"memcached_port": 99999}, "memcached_port"),
        ("lb1", {"common_reboot_time": "25:00"}, "common_reboot_time"),
        ("lb1", {"common_ca_certificates": {"famigo": "not a certificate"}}, "common_ca_certificates"),
        ("lb1", {"nrpe_certificate": certificate(-9, -2) + key()}, "nrpe_certificate has expired"),
        (
            "lb1",
            {"balancer_certificate": certificate(names=["a.com"]) + key()},
            "balancer_certificate must be valid for famigo.com",
        ),
        ("web1", {"site_environment_file": "/etc/environment"}, "django_environment_file"),
        ("lb1", {"balancer_servers": ["web1"]}, "balancer_servers"),
        ("data1", {"mongodb_members": ["10.0.0.1", "10.0.0.2"]}, "mongodb_members"),
        ("data1", {"redis_members": ["10.0.0.1", "10.0.0.2"]}, "redis_members"),
        ("web1", {"celery_beat_scheduler": "celery.beat.PersistentScheduler"}, "celery_beat_scheduler"),
        ("lb1", {"nrpe_limits": {"disk": {"warning": "a bit", "critical": 5}}}, "found in 'nrpe_limits -> disk'"),
        ("sentinel1", {"nagios_contacts": {"ada": {}}}, "nagios_contacts['ada'].email is {}; it takes a mail address"),
        ("lb1", {"site_alert_addresses": ["nobody"]}, "mail_root"),
        (
            "outside1",
            {"prometheus_probes": [{"name": "page", "url": "gopher://famigo.com/"}]},
            "prometheus_probes['page'].url",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_role_forbids_is_named(playbook, host, variables, complaint):
    done = preflight(playbook, variables, limit=host)
    assert done.returncode != 0
    assert complaint in done.message
    assert "changed=0" in done.message


TEXTS = {"bool": "false", "float": "1.5", "int": "60"}
SPECS = [
    yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
    for path in sorted((PROJECT / "roles").glob("*/meta/argument_specs.yml"))
]


def test_a_text_that_stands_for_a_number_or_a_boolean_is_refused_by_name(playbook):
    """As an inventory in INI, or a variable from the environment, brings it."""
    texts = {name: TEXTS[one["type"]] for spec in SPECS for name, one in spec.items() if one["type"] in TEXTS}
    assert len(texts) > 70
    done = preflight(playbook, texts, ANSIBLE_STRATEGY="linear")
    assert done.returncode != 0
    assert not [name for name in texts if f"{name}, a variable of the role" not in done.message], done.message
    assert "changed=0" in done.message


@pytest.fixture
def production(tmp_path):
    """An inventory of production with the hosts of the twin, for whose secrets there is a folder."""
    text = (PROJECT / "inventories/local/hosts.yml").read_text().replace("local:", "production:", 1)
    text = re.sub(r"number: ([0-9]+)", r"address: 10.0.0.\1", text).replace("{{ twin_prefix }}", "192.0.2")
    (tmp_path / "hosts.yml").write_text(re.sub(r"^ +(vars:|twin_.*)\n", "", text, flags=re.MULTILINE))
    folder = tmp_path / "group_vars/production"
    shutil.copytree(PROJECT / "inventories/production/group_vars/production", folder)
    return tmp_path


def test_a_missing_secret_is_named_and_a_playbook_makes_up_all(playbook, production):
    arguments = ["--inventory", str(production)]
    done = preflight(playbook, {}, *arguments)
    assert done.returncode != 0
    complaints = done.message

    vault = production / "group_vars/production/vault.yml"
    make = ["playbooks/secrets.yml", *arguments, "--extra-vars", f"vault={vault}"]
    assert playbook(*make).returncode == 0
    assert vault.stat().st_mode & 0o777 == 0o600
    made = yaml.safe_load(vault.read_text())
    assert len(made) > 10
    assert not [secret for secret in made if secret not in complaints]
    done = preflight(playbook, {}, *arguments)
    assert done.returncode == 0, done.stdout

    # What is there stays, and what is missing is added.
    kept = {name: value for name, value in made.items() if name not in ("redis_admin_password", "nrpe_certificate")}
    vault.write_text(yaml.safe_dump(kept))
    assert playbook(*make).returncode == 0
    completed = yaml.safe_load(vault.read_text())
    assert kept.items() < completed.items()
    assert completed.keys() == made.keys()
    assert "changed=0" in playbook(*make).message

    password = production / "password"
    password.write_text("of the vault")
    subprocess.run(["ansible-vault", "encrypt", "--vault-password-file", password, vault], check=True)
    encrypted = vault.read_text()
    assert "is encrypted" in playbook(*make, "--vault-password-file", str(password)).message
    assert vault.read_text() == encrypted
