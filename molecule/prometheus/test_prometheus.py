"""The watcher as the site, the sentinel, and the people who get its mails meet it."""

import json
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import eventually

CANARY = "CanaryInTheCoalMine"
MAIL_SECONDS = 60


class Watcher:
    """Prometheus and what it sends, seen from its own host; and the state of what it watches."""

    def __init__(self, hosts, variables):
        self.host, self.door = hosts["outside1"], hosts["door1"]
        self.users = variables("outside1", "prometheus_users")
        self.page = f"https://{variables('outside1', 'address')}:9090"

    def ask(self, path, user="ada", password=None):
        """Return the status and the body of an answer of Prometheus. The login does not go over a command line."""
        login = (f"{user}:{password or self.users[user]}").replace("\\", "\\\\").replace('"', '\\"') if user else ""
        config = f'user = "{login}"\n' if user else ""
        command = "printf %s %s | curl --silent --insecure --max-time 10 --config - --write-out '\\n%%{http_code}' %s"
        body, _, status = self.host.check_output(command, "%s", config, f"{self.page}{path}").rpartition("\n")
        return int(status), body

    def api(self, path):
        """Return the data of an answer."""
        return json.loads(self.ask(f"/api/v1/{path}")[1])["data"]

    def alerts(self):
        """Return the names of the alerts that are told, each with what it is about."""
        return {
            (alert["labels"]["alertname"], alert["labels"]["about"])
            for alert in self.api("alerts")["alerts"]
            if alert["state"] == "firing" and alert["labels"]["alertname"] != "Watchdog"
        }

    def heartbeats(self):
        """Return when the sentinel was told that all is well."""
        return [float(line) for line in self.door.check_output("cat /run/door/heartbeats").split()]

    @contextmanager
    def told(self, **files):
        """Have the doors answer otherwise, for as long as a block lasts."""
        for name, value in files.items():
            self.door.check_output("printf %s %s > %s", "%s", json.dumps(value), f"/run/door/{name}")
        try:
            yield
        finally:
            for name in files:
                self.door.check_output("rm %s", f"/run/door/{name}")


@pytest.fixture(scope="session")
def watcher(hosts, variables):
    return Watcher(hosts, variables)


def wait_for(mails, count, known=(), seconds=MAIL_SECONDS):
    """Return so many mails, by their subjects, that are not known, as soon as they are there."""
    eventually(lambda: len(mails.all()) >= len(known) + count, seconds=seconds, what="the mails are there")
    return {mail["subject"]: mail for mail in mails.all() if mail["subject"] not in known}


def words(mail):
    """Return the text of a mail without its line breaks."""
    return " ".join(mail["text"].split())


def test_the_page_takes_a_login_over_tls_and_nothing_else_is_open(watcher, variables):
    assert watcher.ask("/classic/alerts")[0] == 200
    assert watcher.ask("/classic/alerts", "bob")[0] == 200
    assert watcher.ask("/classic/alerts", user=None)[0] == 401
    assert watcher.ask("/metrics", "bob", "guess")[0] == 401
    assert watcher.ask("/metrics", "nobody", "guess")[0] == 401
    plain = watcher.host.run("curl --silent --fail --max-time 5 %s", watcher.page.replace("https", "http"))
    assert plain.rc

    sockets = watcher.host.check_output("ss --no-header --listening --numeric --tcp | awk '{print $4}'").split()
    assert {"127.0.0.1:9093", "127.0.0.1:9115"} <= set(sockets)
    assert [one for one in sockets if not one.startswith("127.")] == [f"{variables('outside1', 'address')}:9090"]


def test_everything_is_watched_and_all_is_well(watcher):
    def health():
        return {target["health"] for target in watcher.api("targets")["activeTargets"]}

    eventually(lambda: health() == {"up"}, what="all targets are up")
    jobs = [target["labels"]["job"] for target in watcher.api("targets")["activeTargets"]]
    assert sorted(jobs) == [
        "alertmanager",
        "blackbox",
        "gateway",
        "mongodb",
        *["node"] * 3,
        "prometheus",
        *["site"] * 2,
    ]
    assert not watcher.alerts()
    eventually(lambda: len(watcher.api("query?query=probe:success:ratio_30d")["result"]) == 2, seconds=75)
    assert [one["value"][1] for one in watcher.api("query?query=probe:success:ratio_30d")["result"]] == ["1", "1"]


def test_the_rules_do_as_they_should(watcher, variables):
    cases = (Path(__file__).parent / "files/rules_test.yml").read_text()
    cases = cases.replace("@door@", variables("outside1", "door")).replace("@page@", watcher.page)
    watcher.host.check_output("printf %s %s > /root/rules_test.yml", "%s", cases)
    done = watcher.host.run("promtool test rules /root/rules_test.yml")
    assert not done.rc, done.stdout


def test_a_failing_page_a_stopped_service_and_a_dead_host_are_a_mail_each_and_another_when_it_is_over(watcher, mails):
    with watcher.told(page=[500, "Sorry."], down=["/metrics/web2", "/metrics/web2-mongodb"]):
        watcher.door.check_output("systemctl stop shop")
        try:
            found = wait_for(mails, 3)
        finally:
            watcher.door.check_output("systemctl start shop")

    # Two pages are one site, and of a dead host nothing else is told.
    site, service, host = (
        "The page home is not as it should be (one of 2)",
        "The service shop does not run on door1",
        "The host web.2 is down",
    )
    assert set(found) == {f"PROBLEM: {subject}" for subject in (site, service, host)}
    mail = found[f"PROBLEM: {site}"]
    assert mail["to"] == "root@localhost, night@example.com"
    assert mail["recipients"] == ["root@localhost", "night@example.com"]
    text = words(mail)
    assert "answers with status 200 to 299 and matches Welcome within 5 seconds" in text
    assert "seen: status 500" in text
    assert "/login for games.example answers with status 302 within 3 seconds" in text
    assert f"{watcher.page}/classic/alerts" in text
    assert "look at: systemctl status shop.service" in words(found[f"PROBLEM: {service}"])

    over = wait_for(mails, 3, found, seconds=90)
    assert set(over) == {f"RESOLVED: {subject}" for subject in (site, service, host)}
    assert "that is over. lasted from" in words(over[f"RESOLVED: {service}"])
    assert len(mails.all()) == len(found) + len(over)


def test_a_silent_sentinel_and_other_content_are_a_mail_each_and_heartbeats_go_on_afterwards(watcher, mails):
    eventually(lambda: len(watcher.heartbeats()) > 3)
    beats = watcher.heartbeats()
    assert max(later - earlier for earlier, later in zip(beats[-3:], beats[-2:], strict=False)) < 60
    watcher.door.check_output("systemctl stop door@444")
    try:
        with watcher.told(page=[200, "Lorem ipsum."]):
            found = wait_for(mails, 2)
    finally:
        watcher.door.check_output("systemctl start door@444")
    site = next(mail for subject, mail in found.items() if "The page" in subject)
    assert "status 200, without the content" in words(site)
    assert "PROBLEM: The sentinel does not answer: nothing is known of any host" in found

    over = wait_for(mails, 2, found, seconds=90)
    assert all(subject.startswith("RESOLVED: ") for subject in over)
    eventually(lambda: watcher.heartbeats()[-1] > time.time() - 30)
    # None of the hosts that were not heard of meanwhile.
    assert len(mails.all()) == len(found) + len(over)
    assert not watcher.alerts()


def test_a_killed_run_is_made_good_and_a_new_service_is_watched(watcher, run, converge, variables):
    def watched():
        rules = [rule for group in watcher.api("rules")["groups"] for rule in group["rules"]]
        return {rule["labels"]["service"] for rule in rules if rule["name"] == "ServiceDown"}

    assert watched() == {"shop"}
    cart = {"name": "cart", "unit": "cart.socket", "hosts": ["web.2"]}
    services = [*variables("outside1", "prometheus_services"), cart]
    assert run({"prometheus_services": services}, crash_after="Write the configuration").killed
    assert watched() == {"shop"}
    process = watcher.host.check_output("systemctl show prometheus --value --property MainPID")
    done = converge({"prometheus_services": services})
    assert done.ok, done.output
    eventually(lambda: watched() == {"shop", "cart"})
    assert watcher.host.check_output("systemctl show prometheus --value --property MainPID") == process


def test_new_passwords_are_in_use_at_once_and_not_told(watcher, converge, variables):
    gateway, heartbeat = (
        variables("outside1", name) | {"password": CANARY} for name in ("prometheus_gateway", "prometheus_heartbeat")
    )
    values = {"prometheus_users": {"eve": CANARY}, "prometheus_gateway": gateway, "prometheus_heartbeat": heartbeat}
    started = watcher.host.check_output("systemctl show prometheus --value --property MainPID")
    with watcher.told(password=CANARY):
        done = converge(values, diff=True, verbosity=3)
        changed = time.time()
        assert done.ok, done.output
        assert CANARY not in done.output
        assert watcher.ask("/metrics", "eve", CANARY)[0] == 200
        assert watcher.ask("/metrics", "ada")[0] == 401
        assert watcher.host.check_output("systemctl show prometheus --value --property MainPID") == started
        eventually(lambda: watcher.heartbeats()[-1] > changed)
        query = "/api/v1/query?query=min(up)"
        eventually(lambda: json.loads(watcher.ask(query, "eve", CANARY)[1])["data"]["result"][0]["value"][1] == "1")
    assert CANARY not in watcher.host.check_output("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    with pytest.raises(AssertionError):
        watcher.host.check_output("setpriv --reuid=nobody --clear-groups cat /etc/prometheus/web.yml")


DOOR = {"url": "https://door1/", "user": "outside", "password": CANARY}
BAD = {
    "prometheus_users": {"ada": "", "b b": CANARY, "eve": f"{CANARY} "},
    "prometheus_probes": [
        {"name": "home", "url": "ftp://games.example", "ca": "none"},
        {
            "name": "login",
            "url": "https://games.example",
            "status": 1000,
            "content": "(",
            "timeout": 60,
            "max_seconds": 0,
            "insecure": "yes",
        },
    ],
    "prometheus_gateway": DOOR | {"url": "http://door1/metrics"},
    "prometheus_heartbeat": DOOR | {"user": "", "password": ""},
    "prometheus_hosts": [{"name": "door1", "metrics": {"node": "a/b"}}],
    "prometheus_services": [{"name": "shop", "unit": "a b", "hosts": ["door2"]}],
    "prometheus_limits": {"inodes_free": 100, "load": 0},
}
COMPLAINTS = [
    "prometheus_users['ada'].password takes a text of 1 to 72 bytes",
    "prometheus_users['b b'].name is 'b b'; it takes a name without spaces, quotes and colons.",
    "prometheus_users['eve'].password takes a text of 1 to 72 bytes, of one line that neither begins nor ends with a"
    " space.",
    "prometheus_probes['home'].url is 'ftp://games.example'; it takes an http or https URL, without a login",
    "prometheus_probes['home'].ca takes certificates in PEM.",
    "prometheus_probes['login'].status is 1000; it takes a whole number from 100 to 599.",
    "prometheus_probes['login'].content is '('; it takes a regular expression.",
    "prometheus_probes['login'].timeout is 60; it takes a whole number from 1 to 5.",
    "prometheus_probes['login'].max_seconds is 0; it takes a number, more than 0.",
    "prometheus_probes['login'].insecure is 'yes'; it takes one of True, False.",
    "prometheus_gateway.url is 'http://door1/metrics'; it takes an https URL, without a login",
    "prometheus_heartbeat.user is ''; it takes a name without spaces, quotes and colons.",
    "prometheus_heartbeat.password takes a text of 1 to 72 bytes",
    "prometheus_hosts['door1'].metrics is {'node': 'a/b'}; it takes a dictionary, each value a name below the gateway's"
    " URL, or an http URL.",
    "prometheus_services['shop'].unit is 'a b'; it takes the name of a systemd unit.",
    "prometheus_services['shop'].hosts is ['door2']; it takes a list, each of door1.",
    "prometheus_limits.inodes_free is 100; it takes a percentage, more than 0 and less than 100.",
    "prometheus_limits.load is 0; it takes a number, more than 0.",
]
MISTYPED = {
    "prometheus_probes": [{"name": "home", "url": "https://games.example", "contents": "x", "status": "teapot"}],
    "prometheus_gateway": {"url": "https://door1/metrics", "password": CANARY},
    "prometheus_hosts": [{"name": "door1", "metrics": {"mongodb": "door1"}}],
    "prometheus_services": [{"name": "cart", "unit": "cart", "hosts": "door1 door2"}, {"name": "till", "unit": "till"}],
    "prometheus_limits": {"filesystem_free": "10 %"},
}
MISTYPES = [
    "prometheus_probes.contents. Supported parameters include: ca, content, host,",
    "argument 'status' is of type str found in 'prometheus_probes'.",
    "parameters are required together: url, user, password found in prometheus_gateway",
    "missing required arguments: node found in prometheus_hosts -> metrics",
    "missing required arguments: hosts found in prometheus_services",
    "argument 'filesystem_free' is of type str found in 'prometheus_limits'.",
]


@pytest.mark.parametrize(("values", "complaints"), [(BAD, COMPLAINTS), (MISTYPED, MISTYPES)], ids=["bad", "mistyped"])
def test_bad_values_are_named_all_at_once_before_anything_changes(run, values, complaints):
    refused = run(values, diff=True, verbosity=3)
    assert not refused.ok
    assert not refused.changed
    assert [complaint for complaint in complaints if complaint not in refused.message] == []
    assert CANARY not in refused.output


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"prometheus_retention": 7}, "prometheus_retention >= 31"),
        ({"prometheus_recipients": ["root@localhost", "nobody"]}, "prometheus_recipients is list_of('mail_address')"),
        (
            {"prometheus_certificate": "-----BEGIN CERTIFICATE-----"},
            "prometheus_certificate must hold a certificate in PEM",
        ),
        (
            {"prometheus_limits": {"mongodb_lags": 5}},
            "prometheus_limits.mongodb_lags. Supported parameters include: certificate_days, clock_offset,",
        ),
        ({"prometheus_gateway": {"adress": "door1"}}, "adress"),
        ({"prometheus_gateway": {}}, "prometheus_gateway | length > 0 or prometheus_hosts"),
    ],
)
def test_a_bad_value_is_refused(run, values, complaint):
    refused = run(values)
    assert not refused.ok
    assert not refused.changed
    assert complaint in refused.message


def test_watching_takes_little_memory(watcher):
    for unit, mebibytes in (("prometheus", 120), ("prometheus-alertmanager", 50), ("prometheus-blackbox-exporter", 40)):
        process = watcher.host.check_output("systemctl show %s --value --property MainPID", unit)
        memory = watcher.host.check_output(f"awk '/^Pss:/ {{print $2}}' /proc/{process}/smaps_rollup")
        assert int(memory) < mebibytes * 1024, f"{unit} takes {memory} KiB"
