"""The balancer as its clients, its servers and its operator meet it."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from as_sent import AS_SENT, NOT_HTTP, Request, exchange
from support import eventually

SERVERS = {"web1": "127.0.0.2", "web2": "127.0.0.3"}
UNITS = {"web1": "backend@2", "web2": "backend@3"}


@dataclass(frozen=True)
class Answer:
    """What curl got: a status, the headers by their names in lower case, and a body."""

    status: int
    headers: dict
    body: str

    @property
    def request(self):
        """The request as the server saw it."""
        return json.loads(self.body)


def fetch(host, url="http://127.0.0.1/", *options):
    """Send one request from inside the host."""
    command = "curl --silent --show-error --include --max-time 20" + " %s" * (len(options) + 1)
    head, _, body = host.check_output(command, *options, url).replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.splitlines()
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


def served_by(host, requests=8):
    """Return the names of the servers that answered a few requests; an empty name stands for none."""
    command = "curl --silent --max-time 20 --output /dev/null --write-out '%%{header_json}' %s"
    answers = (
        host.check_output(command, f"http://127.0.0.1/?[1-{requests}]").replace("}{", "},{").replace("}\n{", "},{")
    )
    return {headers.get("x-served-by", [""])[0] for headers in json.loads(f"[{answers}]")}


def ask(host, command):
    """Send a command to HAProxy's socket and return its answer."""
    return host.check_output("echo %s | socat STDIO /run/haproxy/admin.sock", command)


def info(host, name):
    """Return what the running process says of itself."""
    return dict(line.split(": ", 1) for line in ask(host, "show info").splitlines() if ": " in line)[name]


@contextmanager
def state(host, name, *servers):
    """Have servers be ``unready`` or ``dying``."""
    files = " ".join(f"/run/backend/{SERVERS[server]}/{name}" for server in servers)
    host.check_output(f"touch {files}")
    yield
    host.check_output(f"rm {files}")
    eventually(lambda: served_by(host) == set(SERVERS))


@contextmanager
def load(host):
    """Keep sending requests; what came of them is in the dictionary afterwards."""
    host.check_output(
        "systemd-run --quiet --collect --unit load --property StandardOutput=truncate:/run/load.json"
        " python3 /usr/local/lib/load.py"
    )
    outcome = {}
    yield outcome
    host.check_output("systemctl stop load")
    outcome.update(json.loads(host.check_output("cat /run/load.json")))


@pytest.fixture(scope="module")
def pem(host):
    """Two certificates with their keys."""

    def make(name):
        host.check_output(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=games.example"
            " -addext subjectAltName=DNS:games.example,DNS:oldgames.example"
            f" -keyout /tmp/{name}.key -out /tmp/{name}.crt"
        )
        return {part: host.check_output(f"cat /tmp/{name}.{part}") for part in ("crt", "key")}

    return {name: make(name) for name in ("first", "second")}


def test_every_server_is_used_and_none_tells_its_version(host):
    assert served_by(host) == set(SERVERS)
    assert "server" not in fetch(host).headers


def test_the_least_busy_server_gets_the_request(host):
    host.check_output("systemd-run --quiet --collect curl --silent --fail http://127.0.0.1/slow")
    busy = []

    def find_the_busy_one():
        lines = [line.split(",") for line in ask(host, "show stat").splitlines()]
        busy[:] = [line[1] for line in lines if line[0] == "site" and line[1] in SERVERS and int(line[4])]
        return busy

    eventually(find_the_busy_one)
    assert served_by(host) == set(SERVERS) - set(busy)


def test_a_server_that_is_not_ready_gets_nothing_until_it_is(host):
    with state(host, "unready", "web1"):
        eventually(lambda: served_by(host) == {"web2"})


def test_no_request_fails_when_a_server_is_killed(host):
    with load(host) as outcome:
        host.check_output("systemctl kill --signal=KILL %s", UNITS["web1"])
        eventually(lambda: "DOWN" in ask(host, "show stat"))
        host.check_output("systemctl start %s", UNITS["web1"])
        eventually(lambda: served_by(host) == set(SERVERS))
    assert outcome["answered"] > 0
    assert not outcome["failed"]


def test_a_get_goes_to_another_server_when_the_first_hangs_up(host):
    with state(host, "dying", "web2"):
        assert served_by(host) == {"web1"}
    assert "/?" in host.check_output("cat /run/backend/%s/requests", SERVERS["web2"])


def test_a_post_is_sent_once(host):
    host.check_output("rm -f /run/backend/*/requests")
    with state(host, "dying", *SERVERS):
        assert fetch(host, "http://127.0.0.1/buy", "--data", "game=uno").status == 502
    requests = host.check_output("cat /run/backend/*/requests").splitlines()
    assert requests.count("POST /buy") == 1


@pytest.mark.parametrize("name", ["oldgames.example", "OldGames.EXAMPLE:8000", "www.games.example."])
def test_an_old_domain_leads_to_the_same_page_of_the_new_one(host, name):
    answer = fetch(host, "http://127.0.0.1/uno/rules?page=2&q=a%20b", "--header", f"Host: {name}")
    assert answer.status == 301
    assert answer.headers["location"] == "http://games.example/uno/rules?page=2&q=a%20b"


def test_an_old_domain_leads_on_with_the_path_and_the_query_as_they_were_sent(host):
    requests = [replace(sent, headers={"Host": "oldgames.example"}) for sent in AS_SENT]
    locations = [headers["location"] for _, headers, _ in exchange(host, requests)]
    assert locations == [f"http://games.example{sent.target}" for sent in AS_SENT]


# lighttpd refuses a POST that doesn't tell its length, so the balancer tells it.
REQUESTS = [*AS_SENT, Request("/buy", "POST")]


@pytest.fixture(scope="module")
def answers(host):
    """The answers to all requests of the table."""
    return dict(zip(map(str, REQUESTS), exchange(host, REQUESTS), strict=True))


@pytest.mark.parametrize("sent", REQUESTS, ids=str)
def test_a_server_gets_a_request_as_it_was_sent(answers, sent):
    status, _, answer = answers[str(sent)]
    assert status == 200, answer
    if sent.method == "HEAD":
        return
    seen = json.loads(answer)
    assert (seen["method"], seen["target"], seen["body"]) == (sent.method, sent.target, sent.body)
    assert {name: seen["headers"][name.lower()] for name in sent.headers} == sent.headers
    if sent.method == "POST":
        assert "transfer-encoding" in seen["headers"] or seen["headers"]["content-length"] == str(len(sent.body))


def test_no_server_gets_what_is_not_http(host):
    statuses = [status for status, _, _ in exchange(host, NOT_HTTP.values())]
    assert dict(zip(NOT_HTTP, statuses, strict=True)) == dict.fromkeys(NOT_HTTP, 400)


def test_a_domain_that_is_not_old_is_served(host):
    assert fetch(host, "http://127.0.0.1/", "--header", "Host: games.example").status == 200
    assert fetch(host, "http://127.0.0.1/", "--header", "Host: notoldgames.example").status == 200


def test_the_server_learns_the_address_of_the_client_and_believes_no_other(host, variables):
    address = variables("lb1", "address")
    forged = ["X-Forwarded-For: 192.0.2.66", "X_Forwarded_For: 192.0.2.66", "X-Forwarded-Proto: https", "Proxy: evil"]
    forged += ["X-Forwarded-Host: evil.example", "X-Real-IP: 192.0.2.66", "Forwarded: for=192.0.2.66"]
    options = [option for header in forged for option in ("--header", header)]
    headers = fetch(host, f"http://{address}/", *options).request["headers"]
    assert headers == {
        "host": address,
        "user-agent": headers["user-agent"],
        "accept": "*/*",
        "x-forwarded-for": address,
        "x-forwarded-proto": "http",
    }


def test_the_maintenance_page_is_shown_while_no_server_is_up(host):
    host.check_output("systemctl stop %s %s", *UNITS.values())
    answer = fetch(host)
    host.check_output("systemctl start %s %s", *UNITS.values())
    assert answer.status == 503
    assert answer.headers["retry-after"] == "30"
    assert "Back in a moment" in answer.body
    eventually(lambda: served_by(host) == set(SERVERS))


def test_an_operator_drains_a_server_and_nobody_else_does(host):
    command = "echo %s | setpriv --reuid=nobody --regid=%s --clear-groups socat STDIO /run/haproxy/admin.sock"
    assert host.run(command, "set server site/web1 state drain", "nogroup").failed
    assert served_by(host) == set(SERVERS)
    assert host.run(command, "set server site/web1 state drain", "haproxy").succeeded
    assert served_by(host) == {"web2"}
    assert host.run(command, "set server site/web1 state ready", "haproxy").succeeded
    assert served_by(host) == set(SERVERS)


def test_comes_back_after_its_process_is_killed(host):
    host.check_output("systemctl kill --signal=KILL haproxy")
    eventually(lambda: host.run("curl --silent --fail http://127.0.0.1/").succeeded)


def test_a_run_killed_before_the_reload_is_repaired_by_the_next_and_no_request_fails(host, converge):
    with load(host) as outcome:
        assert converge({"balancer_max_connections": 500}, crash_after="Write the configuration").killed
        assert info(host, "Maxconn") == "4000"
        assert converge({"balancer_max_connections": 500}).ok
        assert info(host, "Maxconn") == "500"
    assert outcome["answered"] > 0
    assert not outcome["failed"]


def test_bad_values_are_refused_before_anything_changes(host, converge):
    pid = info(host, "Pid")
    for variable, value in {
        "balancer_server_timeout": "soon",
        "balancer_connect_timeout": 0,
        "balancer_servers": {"web 1": "127.0.0.2"},
        "balancer_redirects": {"old.example": "new.example", "NEW.example": "old.example"},
        "balancer_certificate": "a certificate",
    }.items():
        run = converge({variable: value})
        assert not run.ok
        assert variable in run.message
        assert not run.changed
    assert info(host, "Pid") == pid
    assert served_by(host) == set(SERVERS)


def test_a_run_whose_configuration_haproxy_cannot_take_over_fails_each_time_and_the_site_stays_up(host, converge):
    for _ in range(2):
        run = converge({"balancer_port": 8080})
        assert not run.ok
        assert "Wait until HAProxy has the new configuration" in run.message
        assert served_by(host) == set(SERVERS)
    assert converge().ok
    assert fetch(host).status == 200


def test_https(host, converge, pem):
    told = ""

    def https(path, *options):
        resolve = [
            option for name in ("games", "oldgames") for option in ("--resolve", f"{name}.example:443:127.0.0.1")
        ]
        return fetch(host, f"https://{path}", "--http1.1", "--cacert", "/tmp/first.crt", *resolve, *options)

    run = converge(
        {"balancer_certificate": pem["first"]["crt"] + "\n" + pem["first"]["key"] + "\n", "balancer_hsts": 600},
        diff=True,
        verbosity=3,
    )
    told += run.output
    assert run.ok, run.output
    answer = https("games.example/", "--header", "X-Forwarded-Proto: http")
    assert answer.request["headers"]["x-forwarded-proto"] == "https"
    assert answer.headers["strict-transport-security"] == "max-age=600"
    assert https("oldgames.example/uno?page=2").headers["location"] == "https://games.example/uno?page=2"
    for name in ("games.example", "oldgames.example"):
        answer = fetch(host, "http://127.0.0.1/uno?page=2", "--header", f"Host: {name}:80")
        assert (answer.status, answer.headers["location"]) == (301, "https://games.example/uno?page=2")
    owned = host.check_output("find /etc/haproxy/certs -type f -printf '%m %u '").split()
    assert owned == ["600", "root"]

    run = converge(
        {"balancer_certificate": pem["first"]["crt"] + "\n" + pem["second"]["key"] + "\n"}, diff=True, verbosity=3
    )
    told += run.output
    assert not run.ok
    host.check_output("systemctl restart haproxy")
    assert https("games.example/").status == 200

    assert converge().ok
    assert fetch(host).status == 200
    assert host.run("curl --silent --insecure https://127.0.0.1/").rc == 7
    assert not host.check_output("ls -A /etc/haproxy/certs")
    lines = [line for pair in pem.values() for line in pair["key"].splitlines() if "-----" not in line]
    assert not any(line in told for line in lines)
