"""The joints between the tiers: what no role's own scenario can show."""

import json
import re
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from people import Visitors, run_python
from support import docker, told

PROJECT = Path(__file__).parents[2]
GAMES = json.loads((PROJECT / "demo/games/data/games.json").read_text())
PAGES = [f"/games/{game['slug']}/" for game in GAMES]

CONNECT = """
import concurrent.futures, json, socket, sys

def is_open(target):
    try:
        socket.create_connection(target, timeout=1.5).close()
    except OSError:
        return False
    return True

targets = json.load(sys.stdin)["targets"]
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(list(pool.map(is_open, map(tuple, targets)))))
"""

BROWSE = """
import http.cookiejar, json, re, sys, urllib.error, urllib.parse, urllib.request

order = json.load(sys.stdin)
browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
def ask(path, form=None):
    data = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(f"http://{order['address']}{path}", data, {"Host": order["domain"]})
    try:
        with browser.open(request, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

if order.get("form"):
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', ask(order["path"])[1])[1]
    print(json.dumps(ask(order["path"], order["form"] | {"csrfmiddlewaretoken": token})))
else:
    print(json.dumps(ask(order["path"])))
"""


@pytest.fixture
def browse(variables):
    """Ask one web server, past the balancer, from the balancer's host: ``browse("web1", "/", form=None)``."""

    def ask(server, path, form=None):
        address, domain = variables(server, "address"), variables(server, "site_domain")
        return run_python(
            variables("lb1", "ansible_host"), BROWSE, address=address, domain=domain, path=path, form=form
        )

    return ask


def test_both_web_servers_answer_through_the_balancer(site):
    answers = [site.get("/") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["X-Served-By"] for answer in answers} == {"web1", "web2"}


def test_the_second_reader_of_a_page_gets_it_from_memcached(site):
    page = f"/games/?page={len(GAMES) // 48}&age=12"
    assert [site.get(page).headers["X-Cache"] for _ in range(3)] == ["miss", "hit", "hit"]


def test_a_review_written_through_one_web_server_is_read_through_the_other(browse):
    text = f"The whole family laughed at {uuid.uuid4()}."
    page = PAGES[7]
    assert text not in browse("web2", page)[1]
    status, answer = browse("web1", f"{page}review/", {"name": "Ada", "rating": 5, "text": text})
    assert status in (200, 302), answer
    assert text in browse("web2", page)[1]
    assert text in browse("web1", page)[1]


def test_static_files_are_served_without_python(site, stopped, browse, variables):
    style = re.search(r'href="(/static/[^"]+\.css)"', site.get("/").text)[1]
    answer = site.get(style)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    unit = variables("web1", "services")["django"]["unit"]
    with stopped("web1", f"{unit}.socket", f"{unit}.service"):
        assert browse("web1", style)[0] == 200
        assert browse("web1", "/")[0] == 503


def test_old_domains_are_forwarded_with_path_and_query(site, variables):
    for domain in variables("lb1", "site_old_domains"):
        answer = site.get("/games/?age=6&page=2", host=domain)
        assert answer.status_code == 301
        assert answer.headers["Location"] == f"http://{site.domain}/games/?age=6&page=2"


def test_a_port_is_open_to_those_whom_the_catalogue_names_and_closed_to_all_others(variables):
    services = variables("lb1", "services")
    groups = variables.groups
    addresses = {host: [variables(host, "address")] for host in groups["all"]}
    for host in groups["all"]:
        with suppress(KeyError):
            addresses[host].append(variables(host, "public_address"))
    targets = sorted(
        {
            (address, service["port"], server)
            for service in services.values()
            if "port" in service
            for server in groups[service["group"]]
            for address in addresses[server][: 2 if "anywhere" in service["clients"] else 1]
        }
    )
    assert len(targets) > len(groups["all"])

    def network(address):
        return int(address.split(".")[3]) >= 128

    def admits(server, port, client):
        return any(
            "anywhere" in service["clients"] or any(client in groups[group] for group in service["clients"])
            for service in services.values()
            if service.get("port") == port and server in groups[service["group"]]
        )

    wrong = []
    for client in groups["all"]:
        networks = {network(address) for address in addresses[client]}
        wanted = [target for target in targets if target[2] != client and network(target[0]) in networks]
        found = run_python(
            variables(client, "ansible_host"), CONNECT, targets=[(address, port) for address, port, _ in wanted]
        )
        for (address, port, server), is_open in zip(wanted, found, strict=True):
            if is_open != admits(server, port, client):
                wrong.append(f"{client} to {server}, {address}:{port}, is {'open' if is_open else 'closed'}")
    assert not wrong


def test_no_secret_is_in_any_log(hosts, variables):
    names = yaml.safe_load((PROJECT / "inventories/local/group_vars/local/vault.yml").read_text())
    secrets = {variables("web1", name) for name in names}
    assert len(secrets) == len(names) > 10
    logs = "journalctl --no-pager; find /var/log -type f -not -path '*/journal/*' -exec cat {} +"
    processes = "cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' ' '"
    for name, host in hosts.items():
        for command in (logs, processes):
            said = host.run(command).stdout_bytes
            assert said
            assert not told(secrets, said), name


def test_reads_go_on_when_a_web_server_dies(site, power):
    with Visitors(site, PAGES) as visitors:
        visitors.read_more(300)
        power.off("web1")
        visitors.read_more(300)
        assert {site.get("/").headers["X-Served-By"] for _ in range(5)} == {"web2"}
    visitors.report("web1 killed")
    assert not visitors.failures


def test_reads_go_on_when_memcached_dies(site, stopped, well):
    with Visitors(site, PAGES) as visitors:
        visitors.read_more(300)
        with stopped("web1", "memcached"), stopped("web2", "memcached"):
            visitors.read_more(300)
    visitors.report("Memcached stopped on both hosts")
    assert not visitors.failures
    well()


def test_reads_go_on_when_the_primary_of_mongodb_dies(site, hosts, power, run, variables):
    verified = run(playbook="playbooks/verify.yml")
    primary = re.search(r"(\w+)\s+mongodb\s+well\s+[\d.]+ ms\s+primary", verified.output)[1]
    with Visitors(site, PAGES) as visitors:
        visitors.read_more(300)
        power.off(primary)
        visitors.read_more(600)
    visitors.report(f"MongoDB's primary, {primary}, killed")
    assert not visitors.failures


def test_verify_names_what_is_unwell(run, stopped, well):
    with stopped("web2", "memcached"):
        verified = run(playbook="playbooks/verify.yml")
    assert not verified.ok
    assert re.search(r"web2\s+memcached\s+UNWELL", verified.output)
    assert len(re.findall("UNWELL", verified.output)) == 1
    well()


def test_a_host_that_is_down_does_not_keep_the_others_from_their_run(power, run):
    power.off("web2")
    power.off("data3")
    done = run()
    recap = dict(re.findall(r"^(\S+)\s+: .*unreachable=(\d+)\s+failed=0", done.output, re.MULTILINE))
    assert recap.pop("web2") == recap.pop("data3") == "1"
    assert set(recap.values()) == {"0"}, done.output
    assert not done.changed, done.output
    power.on("web2")
    power.on("data3")


def test_hosts_that_were_lost_are_built_again_by_the_same_playbook(site, run, variables, well):
    """What a person does: blank machines in the place of the dead ones, and site.yml. One of them led the search."""
    games = site.found("card")
    assert games > 10
    for host in ("web1", "data1"):
        docker("rm", "--force", "--volumes", variables(host, "ansible_host"))
    assert run(playbook="twin/up.yml").ok
    done = run()
    assert done.ok, done.output
    assert set(done.changed) == {"web1", "data1"}, done.changed
    well()
    assert {site.get("/").headers["X-Served-By"] for _ in range(10)} == {"web1", "web2"}
    assert {site.found("card") for _ in range(10)} == {games}
    again = run(limit="web1,data1")
    assert again.ok, again.output
    assert not again.changed, again.output
