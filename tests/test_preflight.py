"""Bad input is refused on the control machine, before any host is asked for anything."""

import json

import pytest
import yaml
from conftest import PROJECT

SERVICES = yaml.safe_load((PROJECT / "group_vars/all/services.yml").read_text())["services"]
SHOP = {"group": "web", "unit": "shop"}


def preflight(playbook, variables, *arguments):
    """Run the preflight alone with extra variables, for a host of each kind. No container need be there."""
    arguments = ["--limit", "lb1,web1,data1,sentinel1,outside1", *arguments]
    return playbook("playbooks/preflight.yml", "--extra-vars", json.dumps(variables), *arguments)


def test_the_inventory_passes(playbook):
    done = preflight(playbook, {})
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        (
            {"memcached_memroy": 64},
            "memcached_memroy is not a variable of the role memcached. Did you mean memcached_memory?",
        ),
        ({"memcached_memory": "plenty"}, "memcached_memory"),
        ({"memcached_port": 99999}, "memcached_port"),
        ({"common_journal_size": "small"}, "common_journal_size"),
        ({"common_reboot_time": "25:00"}, "common_reboot_time"),
        ({"common_ca_certificates": {"famigo": "not a certificate"}}, "common_ca_certificates"),
        ({"balancer_servers": ["web1"]}, "balancer_servers"),
        ({"mongodb_members": ["10.0.0.1", "10.0.0.2"]}, "mongodb_members"),
        ({"redis_members": ["10.0.0.1", "10.0.0.2"]}, "redis_members"),
        ({"solr_heap": "plenty"}, "solr_heap"),
        ({"celery_beat_scheduler": "celery.beat.PersistentScheduler"}, "celery_beat_scheduler"),
        (
            {"services": SERVICES | {"solr": {"group": "serach", "port": 8983, "clients": ["web"]}}},
            "services.solr names the group serach, which the inventory lacks.",
        ),
        (
            {"services": SERVICES | {"solr": {"group": "web", "prot": 8983}}},
            "services.solr.prot is not a key of the catalogue. Did you mean port?",
        ),
        (
            {"services": SERVICES | {"shop": SHOP | {"port": 70, "probe": {"protocol": "gopher"}}}},
            "services.shop in the catalogue: value of protocol must be one of",
        ),
        (
            {"services": SERVICES | {"shop": SHOP | {"limits": {"memory": "plenty"}}}},
            "services.shop in the catalogue: ",
        ),
        (
            {"services": SERVICES | {"shop": SHOP | {"probe": {"protocol": "tcp"}}}},
            "services.shop has a probe and no port that it could ask.",
        ),
        ({"monit_limits": {"space": "nearly all"}}, "argument 'space' is of type str found in 'monit_limits'"),
        ({"nrpe_limits": {"disk": {"warning": "a bit", "critical": 5}}}, "nrpe_limits['disk']"),
        ({"nagios_contacts": {"ada": {}}}, "nagios_contacts['ada']"),
        ({"site_alert_addresses": ["nobody"]}, "mail_root"),
        ({"external_probes": {"page": {"url": "gopher://famigo.com/"}}}, "external_probes['page'].url"),
        ({"site_secret_key": "{{ vault_site_secret_key }}"}, "vault_site_secret_key"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input_is_refused_and_named(playbook, variables, complaint):
    done = preflight(playbook, variables)
    assert done.returncode != 0
    assert complaint in done.message
    assert "changed=0" in done.message


def test_a_missing_secret_is_named(playbook, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text((PROJECT / "inventories/local/hosts.yml").read_text().replace("local:", "production:", 1))
    (tmp_path / "group_vars").symlink_to(PROJECT / "group_vars")
    done = preflight(playbook, {"address": "10.0.0.1"}, "--inventory", str(inventory))
    assert done.returncode != 0
    local = yaml.safe_load((PROJECT / "group_vars/local/secrets.yml").read_text())
    secrets = [name for name in local if not name.startswith("__")]
    assert len(secrets) > 10
    assert not [secret for secret in secrets if secret not in done.message]
