"""What is derived from the catalogue and the inventory."""

from conftest import PROJECT, load

topology = load(PROJECT / "plugins/filter/topology.py")

GROUPS = {
    "all": ["lb1", "web1", "web2", "data1", "sentinel1"],
    "balancer": ["lb1"],
    "web": ["web1", "web2"],
    "mongodb": ["data1"],
    "sentinel": ["sentinel1"],
    "spare": [],
}
SERVICES = {
    "ssh": {"group": "all", "port": 22, "clients": ["anywhere"]},
    "balancer": {"group": "balancer", "port": 80, "clients": ["anywhere"]},
    "lighttpd": {"group": "web", "port": 80, "clients": ["balancer", "sentinel"]},
    "django": {"group": "web"},
    "mongodb": {"group": "mongodb", "port": 27017, "clients": ["web", "mongodb", "sentinel"]},
    "nagios": {"group": "sentinel"},
    "idle": {"group": "spare", "port": 1, "clients": ["web"]},
}
HOSTVARS = {
    host: {
        "address": f"10.0.0.{number}",
        "group_names": [group for group, hosts in GROUPS.items() if host in hosts and group != "all"],
    }
    for number, host in enumerate(GROUPS["all"])
}
HOSTVARS["lb1"]["public_address"] = "192.0.2.1"


def test_services_with_a_port_answer_on_each_host_of_their_group_in_its_order():
    found = topology.endpoints(SERVICES, GROUPS, HOSTVARS)
    assert found["lighttpd"] == ["10.0.0.1:80", "10.0.0.2:80"]
    assert len(found["ssh"]) == len(GROUPS["all"])
    assert found["idle"] == []
    assert "django" not in found


def test_a_role_gets_the_services_as_a_list_with_the_keys_that_it_reads():
    services = {
        "solr": {"group": "search", "unit": "solr", "port": 8983, "probe": {"protocol": "http", "path": "/ping"}},
        "worker": {"group": "worker", "unit": "worker"},
    }
    assert topology.service_list(services, "unit", "protocol", "path") == [
        {"name": "solr", "unit": "solr", "protocol": "http", "path": "/ping"},
        {"name": "worker", "unit": "worker"},
    ]


def test_a_host_comes_from_its_public_address_too():
    found = topology.group_addresses(GROUPS, HOSTVARS)
    assert found["balancer"] == ["10.0.0.0", "192.0.2.1"]
    assert found["web"] == ["10.0.0.1", "10.0.0.2"]
    assert found["spare"] == []


def test_a_host_depends_on_those_that_it_asks_and_the_watcher_on_nobody():
    found = topology.dependencies(SERVICES, GROUPS, HOSTVARS, "sentinel")
    assert {host["name"]: host["parents"] for host in found} == {
        "lb1": ["web1", "web2"],
        "web1": ["data1"],
        "web2": ["data1"],
        "data1": [],
        "sentinel1": [],
    }
    assert found[1] == {"name": "web1", "address": "10.0.0.1", "groups": ["web"], "parents": ["data1"]}


def test_the_hosts_of_mongodb_have_a_second_exporter():
    found = topology.exporters(GROUPS)
    assert {"name": "data1", "metrics": {"node": "data1", "mongodb": "data1-mongodb"}} in found
    assert {"name": "web1", "metrics": {"node": "web1"}} in found
    assert len(found) == len(GROUPS["all"])


def test_a_service_is_placed_on_the_hosts_of_its_group():
    services = {name: service | {"unit": name} for name, service in SERVICES.items()}
    found = {service["name"]: service for service in topology.placements(services, GROUPS)}
    assert found["lighttpd"] == {"name": "lighttpd", "unit": "lighttpd", "hosts": ["web1", "web2"]}
    assert found["ssh"]["hosts"] == GROUPS["all"]
    assert found["idle"]["hosts"] == []
