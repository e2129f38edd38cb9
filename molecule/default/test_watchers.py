"""What the watchers see, do and mail, while parts of the site die. All mail ends in the twin's own mail server."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
import yaml
from people import FIGURES, run_python
from support import docker, eventually, seconds_until

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PICTURES = PROJECT / ".local/pictures"
RESTART_SECONDS = 90
STARTED = time.time()
WATCHERS = [
    "monit",
    "nagios-nrpe-server",
    "prometheus-node-exporter",
    "mongodb-exporter",
    "postfix",
    "nagios4",
    "nagios-web",
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-blackbox-exporter",
]
COST = """
import json, os, pathlib, re, sys

units = json.load(sys.stdin)["units"]
ticks = kibibytes = 0
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if any(f"/{unit}.service" in (process / "cgroup").read_text() for unit in units):
            kibibytes += int(re.search(r"^Pss: +([0-9]+)", (process / "smaps_rollup").read_text(), re.M)[1])
            # Its own time and that of the children that it waited for.
            ticks += sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:15]))
    except (OSError, TypeError):
        pass
print(json.dumps({"seconds": ticks / os.sysconf("SC_CLK_TCK"), "mebibytes": kibibytes / 1024}))
"""


class Page:
    """A page of the watchers, as their people open it: with a login, over TLS."""

    def __init__(self, host, port, variables, certificate):
        self.certificate = certificate
        self.published = ("port", variables(host, "ansible_host"), str(port))
        self.inside = f"https://{variables(host, 'address')}:{port}"
        self.password = variables(host, "site_pages_password")

    def get(self, path, **query):
        """Return the JSON at a path."""
        # Docker chooses another port whenever the host's container starts.
        port = docker(*self.published).splitlines()[0].rpartition(":")[2]
        url = f"https://localhost:{port}{path}"
        # In bytes, for a browser encodes them as UTF-8.
        login = (b"admin", self.password.encode())
        return requests.get(url, query, auth=login, verify=self.certificate, timeout=20).json()

    def open(self, path):
        """Return the URL by which the browser opens a path."""
        return self.inside.replace("://", f"://admin:{quote(self.password, safe='')}@") + path


@pytest.fixture(scope="session")
def certificate(variables, tmp_path_factory):
    """The file of the certificate of both pages, to know them by."""
    path = tmp_path_factory.mktemp("pages") / "certificate.pem"
    path.write_text(variables("sentinel1", "site_watch_certificate"))
    return path


@pytest.fixture(scope="session")
def nagios(variables, certificate):
    """Nagios' page."""
    return Page("sentinel1", 443, variables, certificate)


@pytest.fixture(scope="session")
def prometheus(variables, certificate):
    """The page of the monitor outside."""
    return Page("outside1", 9090, variables, certificate)


def nagios_state(nagios, host, service):
    """Return what Nagios says of a service of a host."""
    query = {"query": "service", "hostname": host, "servicedescription": service, "formatoptions": "enumerate"}
    return nagios.get("/nagios4/cgi-bin/statusjson.cgi", **query)["data"]["service"]["status"]


def firing(prometheus):
    """Return the alerts that the monitor outside gives, each with its name and host."""
    alerts = prometheus.get("/api/v1/alerts")["data"]["alerts"]
    names = {
        (alert["labels"]["alertname"], alert["labels"].get("instance"))
        for alert in alerts
        if alert["state"] == "firing"
    }
    return names - {("Watchdog", None)}


@pytest.fixture(scope="session")
def browse(variables):
    """Make visits with Chromium, from inside the twin: see browser.py. Returns a list of texts for each."""
    name = variables("lb1", "twin_name")
    image = f"twin-browser:{variables('lb1', 'twin_clone')}"
    base = (PROJECT / ".local/base_image").read_text().strip()
    base = "debian:12" if base.startswith("ubuntu") else variables("lb1", "twin_image")
    build = ["docker", "build", "--quiet", "--build-arg", f"base={base}", "--tag", image]
    subprocess.run([*build, "--file", str(HERE / "browser.Dockerfile"), str(HERE)], check=True, capture_output=True)
    container = docker("run", "--detach", "--label", f"twin={name}", "--network", name, "--shm-size", "256m", image)
    docker("network", "connect", f"{name}-outside", container)

    def visit(*visits):
        command = ["docker", "exec", "--interactive", container, "python3", "/usr/local/bin/browser.py"]
        done = subprocess.run(
            command, input=json.dumps(visits), capture_output=True, text=True, check=False, timeout=180
        )
        assert done.returncode == 0, done.stderr
        PICTURES.mkdir(exist_ok=True)
        for order in visits:
            docker("cp", f"{container}:{order['picture']}", str(PICTURES / Path(order["picture"]).name))
        return json.loads(done.stdout)

    yield visit
    docker("rm", "--force", container)


def main_pid(host, unit):
    """Return the main process of a unit that is active, otherwise 0."""
    said = host.run("systemctl show --property=MainPID,ActiveState %s", unit).stdout
    said = dict(line.split("=") for line in said.split())
    return int(said.get("MainPID", 0)) if said.get("ActiveState") == "active" else 0


def kill_in_turn(host, name, services, mails):
    """Kill each service of a host, wait until it runs again and the mail is there, and return the seconds of both."""
    figures = []
    for service, entry in services:
        eventually(lambda entry=entry: main_pid(host, entry["unit"]), RESTART_SECONDS, f"{name}: {service} runs")
        killed, old = time.time(), main_pid(host, entry["unit"])
        host.check_output(f"kill -9 {old}")
        restarted = seconds_until(
            lambda entry=entry, old=old: main_pid(host, entry["unit"]) not in (0, old),
            RESTART_SECONDS,
            f"{name}: {service} runs again",
        )
        _, mailed = mails.after(killed).wait(name, service)
        figures.append((name, service, restarted, mailed))
    return figures


def test_every_service_that_is_killed_runs_again_and_is_mailed(hosts, variables, mails, well):
    with ThreadPoolExecutor(len(hosts)) as pool:
        runs = []
        for turn, (name, host) in enumerate(hosts.items()):
            services = [item for item in variables(name, "host_services").items() if item[0] != "monit"]
            # Not the same service everywhere at once.
            services = services[turn:] + services[:turn]
            runs.append(pool.submit(kill_in_turn, host, name, services, mails))
        figures = [figure for run in runs for figure in run.result()]
    assert len(figures) > 50
    FIGURES.append(f"{'HOST':10} {'KILLED':18} {'RUNS AGAIN':>10} {'MAIL':>8}")
    FIGURES.extend(f"{host:10} {service:18} {runs:8.1f} s {mail:6.1f} s" for host, service, runs, mail in figures)
    well()


def test_building_the_site_mailed_nothing(mails):
    """Nobody reads the mails of one who cries wolf: all that came before the tests is from building the site."""
    early = [mail for mail in mails.after(0).all() if mail["received"] < STARTED]
    assert not [f"{mail['from']}: {mail['subject']}" for mail in early]


def test_the_checks_of_the_whole_site_pause_while_a_store_is_worked_on(run, nagios):
    def paused():
        query = {"query": "host", "hostname": "site"}
        site = nagios.get("/nagios4/cgi-bin/statusjson.cgi", **query)["data"]["host"]
        return site["scheduled_downtime_depth"] > 0

    assert run(playbook="playbooks/pause.yml", limit="data1").ok
    eventually(paused, 60, "the site is paused")
    assert run(playbook="playbooks/resume.yml", limit="data1").ok
    eventually(lambda: not paused(), 60, "the site's pause is over")


def test_all_watchers_know_every_service_of_the_catalogue_and_find_it_well(hosts, variables, nagios, prometheus, well):
    well()
    rules = json.dumps(prometheus.get("/api/v1/rules"))
    for name, host in hosts.items():
        watched = host.check_output("monit -B summary")
        for service, entry in variables(name, "host_services").items():
            assert service == "monit" or f"\n {service} " in watched, f"{service} is not in Monit of {name}"
            assert f"{entry['unit']}.service" in rules, service
            if service != "nrpe":
                eventually(
                    lambda n=name, s=service: nagios_state(nagios, n, s) == "ok", 120, f"{service} of {name} is ok"
                )
    eventually(lambda: not firing(prometheus), 120, "no alert outside")


def test_what_does_not_start_any_more_is_critical_in_nagios_and_mailed_once_by_each(hosts, mails, nagios, well):
    hosts["web2"].check_output("systemctl mask --runtime --now memcached")
    try:
        mail, seconds = mails.wait("memcached", "web2", sender="nagios@")
        FIGURES.append(f"memcached of web2 can't be started: Nagios mails after {seconds:.0f} s")
        assert nagios_state(nagios, "web2", "memcached") == "critical"
        for word in ("Expected", "Seen", "web2", "memcached"):
            assert word in mail["text"]
        mails.wait("memcached", "web2", sender="prometheus@")
        time.sleep(45)
        for sender in ("nagios@", "prometheus@"):
            assert len(mails.all("memcached", "web2", sender=sender)) == 1
    finally:
        hosts["web2"].check_output("systemctl unmask --runtime memcached && systemctl start memcached")
    again = mails.after(time.time())
    _, seconds = again.wait("OK", "memcached", "web2", sender="nagios@")
    again.wait("RESOLVED", "memcached", "web2", sender="prometheus@")
    FIGURES.append(f"memcached of web2 is started: Nagios mails the recovery after {seconds:.0f} s")
    eventually(lambda: nagios_state(nagios, "web2", "memcached") == "ok", 60, "Nagios finds it well")
    well()


def test_a_host_that_dies_is_red_on_both_pages_and_mailed_once_by_each(
    variables, mails, nagios, prometheus, browse, power
):
    hosts_page = {
        "url": nagios.open("/nagios4/cgi-bin/status.cgi?hostgroup=all&style=hostdetail"),
        "wait": "table.status",
        "text": "td.statusHOSTDOWN, td.statusHOSTUP",
    }
    alerts_page = {
        "url": prometheus.open("/classic/alerts"),
        "wait": "tr.alert_header",
        "text": "tr.alert-danger.alert_header",
    }
    well_hosts, well_alerts = browse(
        hosts_page | {"picture": "/tmp/nagios-well.png"}, alerts_page | {"picture": "/tmp/prometheus-well.png"}
    )
    assert well_hosts.count("UP") == len(variables.groups["all"]) + 1
    assert "DOWN" not in well_hosts

    before = mails.after(time.time())
    power.off("data3")
    _, seconds = before.wait("DOWN", "data3", sender="nagios@", seconds=90)
    FIGURES.append(f"data3 is dead: Nagios mails after {seconds:.0f} s")
    _, seconds = before.wait("data3", sender="prometheus@", seconds=120)
    FIGURES.append(f"data3 is dead: the monitor outside mails after {seconds:.0f} s")
    red_hosts, red_alerts = browse(
        hosts_page | {"picture": "/tmp/nagios-down.png"},
        alerts_page | {"picture": "/tmp/prometheus-down.png"},
    )
    assert red_hosts.count("DOWN") == 1
    assert any("HostDown" in text for text in red_alerts) and not any("HostDown" in text for text in well_alerts)
    time.sleep(60)
    for sender in ("nagios@", "prometheus@"):
        # What an earlier test broke may be told to be well again only now.
        subjects = [mail["subject"] for mail in before.all(sender=sender)]
        problems = [subject for subject in subjects if not subject.startswith(("OK again: ", "RESOLVED: "))]
        assert len(problems) == 1, problems
    power.on("data3")
    before.wait("OK", "data3", sender="nagios@")


def test_somebody_outside_mails_when_the_sentinel_dies(mails, power):
    power.off("sentinel1")
    _, seconds = mails.wait("sentinel", sender="prometheus@")
    FIGURES.append(f"The sentinel is dead: the monitor outside mails after {seconds:.0f} s")
    power.on("sentinel1")


def test_the_sentinel_mails_when_nobody_outside_gives_a_sign_of_life(mails, stopped, well):
    with stopped("outside1", "prometheus"):
        _, seconds = mails.wait("heartbeat", "outside", sender="nagios@", seconds=240)
    FIGURES.append(f"The monitor outside is silent: Nagios mails after {seconds:.0f} s")
    well()


def test_a_filesystem_that_fills_up_is_mailed_before_it_is_full(hosts, mails):
    hosts["web1"].check_output("mkdir -p /srv/filling && mount -t tmpfs -o size=20m filling /srv/filling")
    try:
        hosts["web1"].check_output("fallocate --length 18600K /srv/filling/log")
        used = int(hosts["web1"].check_output("df --output=pcent /srv/filling | tail -n 1").strip(" %"))
        assert used < 100
        mail, seconds = mails.wait("web1", "local-filesystems", sender="monit@")
        FIGURES.append(f"A filesystem at {used} %: Monit mails after {seconds:.0f} s")
        assert "/srv/filling" in mail["text"]
    finally:
        hosts["web1"].check_output("umount /srv/filling && rmdir /srv/filling")


def test_django_that_hangs_is_restarted_and_the_mail_arrives_although_the_relay_refuses_it(
    hosts, mails, variables, well
):
    unit = variables("web1", "services")["django"]["unit"]
    before = main_pid(hosts["web1"], unit)
    mails.refuse(60)
    hosts["web1"].check_output("systemctl kill --kill-who=all --signal=STOP %s", unit)
    _, seconds = mails.wait("web1", "lighttpd", sender="monit@")
    FIGURES.append(f"Django hangs, and the relay refuses mail for 60 s: the mail arrives after {seconds:.0f} s")
    assert seconds >= 60
    mails.wait("web1", "django-probe", sender="monit@")
    eventually(lambda: main_pid(hosts["web1"], unit) not in (0, before), 120, "it runs again")
    well()


def test_a_service_that_is_added_to_the_catalogue_is_watched_by_all(hosts, run, nagios, prometheus):
    services = yaml.safe_load((PROJECT / "group_vars/all/services.yml").read_text())["services"]
    more = services | {"journal": {"group": "web", "unit": "systemd-journald"}}

    def watched():
        return [
            "\n journal " in hosts["web1"].check_output("monit -B summary"),
            "journal"
            in nagios.get("/nagios4/cgi-bin/objectjson.cgi", query="servicegrouplist")["data"]["servicegrouplist"],
            "systemd-journald.service" in json.dumps(prometheus.get("/api/v1/rules")),
        ]

    where = {"limit": "web1,sentinel1,outside1", "tags": "monit,nrpe,exporter,nagios,prometheus"}
    assert watched() == [False] * 3
    done = run({"services": more}, **where)
    assert done.ok, done.output
    try:
        eventually(lambda: watched() == [True] * 3, 30, "all watchers know the service")
        eventually(lambda: nagios_state(nagios, "web1", "journal") == "ok", 90, "Nagios finds it well")
    finally:
        assert run(**where).ok
    eventually(lambda: watched() == [False] * 3, 30, "the service is gone again")


def test_watching_costs_little(hosts, variables):
    """Processor and memory of what watches, over a minute in which nothing happens, for the report."""
    before = {name: run_python(host.backend.name, COST, units=WATCHERS) for name, host in hosts.items()}
    time.sleep(60)
    for name, host in hosts.items():
        after = run_python(host.backend.name, COST, units=WATCHERS)
        share = (after["seconds"] - before[name]["seconds"]) / 60
        FIGURES.append(f"Watching on {name}: {share:.1%} of a core, {after['mebibytes']:.0f} MiB")
