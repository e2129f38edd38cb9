"""The exporters as Prometheus meets them, of hosts on which a set of MongoDB runs."""

import json
import re
import time

import pytest
from support import eventually

NAMES = ("data1", "data2", "data3")
CANARY = "CanaryInTheCoalMine"
NODE, MONGODB = 9100, 9216
UNITS = {NODE: "prometheus-node-exporter", MONGODB: "mongodb-exporter"}

SCRAPE = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
"""

# A set as MongoDB describes it, of which one member is behind, one is starting and one is dead.
MADE_UP = """
import importlib.util, json, sys
from datetime import datetime, timedelta
spec = importlib.util.spec_from_file_location("exporter", "/usr/local/lib/mongodb_exporter.py")
exporter = importlib.util.module_from_spec(spec)
spec.loader.exec_module(exporter)
now = datetime(2026, 1, 1)
states = {"a": (1, 1, 0), "b": (2, 1, 7), "c": (2, 1, -1), "d": (5, 1, 90), "e": (8, 0, 9000), "f": (2, 0, 60)}
members = [
    {"name": name, "state": state, "health": health, "stateStr": "X (Y)", "optimeDate": now - timedelta(seconds=behind)}
    for name, (state, health, behind) in states.items()
    if name not in sys.argv[1:]
]
print(json.dumps(exporter.member_lags(members)))
"""


@pytest.fixture(scope="session")
def scrape(hosts, variables):
    """Return what an exporter serves, by metric and labels, to a client on another host."""

    def ask(name, port=NODE):
        client = hosts[next(other for other in NAMES if other != name)]
        text = client.check_output("python3 -c %s %s", SCRAPE, f"http://{variables(name, 'address')}:{port}/metrics")
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}

    return ask


def unit_is(metrics, unit, state):
    """Whether the metrics say that the unit is in the state."""
    prefix = f'node_systemd_unit_state{{name="{unit}",state="{state}"'
    return [value for name, value in metrics.items() if name.startswith(prefix)] == [1]


def test_a_host_tells_how_it_is_and_which_of_the_units_run(scrape, hosts):
    metrics = scrape("data1")
    assert metrics["node_memory_MemAvailable_bytes"] > 0
    assert metrics["node_load1"] >= 0
    assert abs(metrics["node_time_seconds"] - time.time()) < 5
    assert any(re.match(r'node_filesystem_avail_bytes{.*mountpoint="/"}', name) for name in metrics)
    assert unit_is(metrics, "mongod.service", "active")
    assert unit_is(metrics, "systemd-tmpfiles-clean.timer", "active")
    assert not [name for name in metrics if "dbus" in name or "go_" in name]

    hosts["data1"].check_output("systemctl stop systemd-tmpfiles-clean.timer")
    try:
        assert unit_is(scrape("data1"), "systemd-tmpfiles-clean.timer", "inactive")
    finally:
        hosts["data1"].check_output("systemctl start systemd-tmpfiles-clean.timer")


def test_listens_on_its_address_alone(host, variables):
    command = f"ss --no-header --listening --numeric --tcp '( sport = {NODE} or sport = {MONGODB} )'"
    sockets = sorted(line.split()[3] for line in host.check_output(command).splitlines())
    assert sockets == [f"{variables('data1', 'address')}:{port}" for port in (NODE, MONGODB)]


def test_watching_costs_next_to_nothing(host, scrape):
    """Of a core, less than half a percent, at a scrape each 15 seconds, and 25 MB of memory for each of the two."""
    for port, unit in UNITS.items():
        process = host.check_output("systemctl show %s --value --property MainPID", unit)

        def ticks(process=process):
            return sum(map(int, host.check_output(f"cut --delimiter ' ' --fields 14,15 /proc/{process}/stat").split()))

        before = ticks()
        for _ in range(12):
            scrape("data1", port)
        assert (ticks() - before) / 100 < 12 * 15 * 0.005
        memory = host.check_output(f"awk '/^Pss:/ {{print $2}}' /proc/{process}/smaps_rollup")
        assert int(memory) < 25 * 1024, f"{unit} takes {memory} KiB"


def test_a_member_tells_of_itself_and_of_the_set(scrape, variables):
    views = [scrape(name, MONGODB) for name in NAMES]
    assert all(view["mongodb_up"] == 1 for view in views)
    assert sorted(view['mongodb_mongod_replset_my_state{set="rs0"}'] for view in views) == [1, 2, 2]
    for view in views:
        assert view['mongodb_mongod_replset_number_of_members{set="rs0"}'] == 3
        for name in NAMES:
            member = f'name="{variables(name, "address")}:27017",set="rs0"'
            assert view[f"mongodb_mongod_replset_member_health{{{member}}}"] == 1
        lags = [value for name, value in view.items() if "replication_lag" in name]
        assert len(lags) == 2
        assert max(lags) < 15
        assert view['mongodb_connections{state="current"}'] > 0
        assert view['mongodb_op_counters_total{type="command"}'] > 0
        cache = "mongodb_mongod_wiredtiger_cache"
        assert 0 < view[f'{cache}_bytes{{type="total"}}'] < view[f"{cache}_max_bytes"] == 2**28
        ends = [view[f'mongodb_mongod_replset_oplog_{end}_timestamp{{set="rs0"}}'] for end in ("tail", "head")]
        assert ends[0] <= ends[1] <= time.time()


@pytest.mark.parametrize(("without", "lags"), [([], {"b": 7, "c": 0}), (["a"], {})])
def test_only_a_secondary_that_answers_is_behind(host, without, lags):
    assert json.loads(host.check_output("python3 -c %s" + " %s" * len(without), MADE_UP, *without)) == lags


def test_a_dead_member_is_seen_by_its_exporter_and_by_the_others(scrape, hosts, variables):
    victim = next(name for name in NAMES if scrape(name, MONGODB)['mongodb_mongod_replset_my_state{set="rs0"}'] == 2)
    witness = next(name for name in NAMES if name != victim)
    health = f'mongodb_mongod_replset_member_health{{name="{variables(victim, "address")}:27017",set="rs0"}}'
    hosts[victim].check_output("systemctl kill --signal=KILL mongod; systemctl stop mongod")
    try:
        assert scrape(victim, MONGODB)["mongodb_up"] == 0
        assert unit_is(scrape(victim), "mongod.service", "active") is False
        eventually(lambda: scrape(witness, MONGODB)[health] == 0)
        lags = [name for name in scrape(witness, MONGODB) if "replication_lag" in name]
        assert not [name for name in lags if variables(victim, "address") in name]
    finally:
        hosts[victim].check_output("systemctl reset-failed mongod; systemctl start mongod")
    eventually(lambda: scrape(victim, MONGODB)["mongodb_up"] == 1)
    eventually(lambda: scrape(witness, MONGODB)[health] == 1)


def test_the_password_is_nowhere_to_be_seen(host, variables):
    password = variables("data1", "exporter_mongodb_password")
    assert password not in host.check_output("tr '\\0' ' ' < /proc/$(pidof -s -x mongodb_exporter.py python3)/cmdline")
    assert password not in host.check_output("cat /etc/systemd/system/mongodb-exporter.service")
    with pytest.raises(AssertionError):
        host.check_output("setpriv --reuid=nobody --clear-groups cat /etc/mongodb-exporter.json")


def test_a_password_that_a_killed_run_wrote_is_used_by_the_next_and_a_wrong_one_not_told(scrape, host, converge, run):
    wrong = {"exporter_mongodb_password": CANARY}
    assert run(wrong, limit="data1", crash_after="Write the login to MongoDB").killed
    assert scrape("data1", MONGODB)["mongodb_up"] == 1
    done = converge(wrong, limit="data1", diff=True, verbosity=3)
    assert done.ok, done.output
    assert CANARY not in done.output
    assert scrape("data1", MONGODB)["mongodb_up"] == 0
    journal = host.check_output("journalctl --unit mongodb-exporter --no-pager")
    assert "MongoDB does not answer: Authentication failed" in journal
    assert CANARY not in journal


def test_where_there_is_no_mongodb_its_exporter_goes(host, converge, run):
    without = {"exporter_mongodb_password": ""}
    assert run(without, limit="data1", crash_after="Stop the exporter of MongoDB").killed
    assert converge(without, limit="data1").ok
    assert not run(without, limit="data1").changed
    assert host.check_output("systemctl show mongodb-exporter --value --property LoadState") == "not-found"
    assert not any(
        host.file(f"/etc/{name}").exists
        for name in ("mongodb-exporter.json", "systemd/system/mongodb-exporter.service")
    )


def test_the_agent_of_cloud_manager_is_told_where_it_belongs(host, run):
    project = "0123456789abcdef01234567"
    settings = {
        "exporter_cloud_manager_group_id": project,
        "exporter_cloud_manager_api_key_password": CANARY,
        "exporter_cloud_manager_url": "https://agents.example.com",
        "exporter_cloud_manager_package_url": "file:///srv/agent.deb",
    }
    try:
        planned = run(settings, limit="data1", check=True, diff=True)
        assert planned.ok, planned.output
        done = run(settings, limit="data1", diff=True, verbosity=3)
        assert done.ok, done.output
        assert CANARY not in done.output
        assert not run(settings, limit="data1").changed
        journal = "journalctl --unit mongodb-mms-automation-agent --no-pager --output cat"
        assert f"{project} reports to https://agents.example.com" in host.check_output(journal)
        config = host.file("/etc/mongodb-mms/automation-agent.config")
        assert (config.user, config.mode) == ("mongodb", 0o600)
        assert f"mmsApiKey={CANARY}" in config.content_string
    finally:
        host.check_output("apt-get purge --yes mongodb-mms-automation-agent-manager")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"exporter_port": 0}, "exporter_port is port"),
        ({"exporter_mongodb_port": NODE}, "exporter_mongodb_port != exporter_port"),
        ({"exporter_units": ["mongod", "a b"]}, "These are none: a b"),
        ({"exporter_address": "data1"}, "exporter_address is ip_address"),
        ({"exporter_cloud_manager_group_id": "01234567"}, "exporter_cloud_manager_group_id"),
        ({"exporter_cloud_manager_api_key_password": CANARY}, "go together: both, or none"),
    ],
)
def test_a_bad_value_is_refused_before_anything_changes(run, values, complaint):
    refused = run(values, limit="data1", diff=True, verbosity=3)
    assert not refused.ok
    assert complaint in refused.message
    assert not refused.changed
    assert CANARY not in refused.output
