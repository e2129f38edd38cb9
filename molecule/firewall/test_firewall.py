"""The firewall as the neighbours meet it: who reaches which port of whom, while the rules change and break."""

import json

import pytest

PORTS = [22, 8080, 8081, 8082, 8083]
REACHED = {"friend": {22, 8080, 8081}, "stranger": {22, 8081}, "server": set(PORTS)}

ASK = """
import json, socket, sys
def reach(address, port):
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.sendall(b"hello\\n")
            return connection.recv(10) == b"hello\\n"
    except TimeoutError:
        return False
address, ports = json.loads(sys.argv[1])
print(json.dumps([port for port in ports if reach(address, port)]))
"""

PING = """
import socket, sys
family, protocol, request = {"4": (socket.AF_INET, 1, 8), "6": (socket.AF_INET6, 58, 128)}[sys.argv[1]]
with socket.socket(family, socket.SOCK_DGRAM, protocol) as ping:
    ping.settimeout(3)
    ping.sendto(bytes([request, 0, 0, 0, 0, 0, 0, 1]), (sys.argv[2], 0))
    print(ping.recv(100)[0])
"""

TALK = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 8080), timeout=10) as connection:
    stream = connection.makefile("rw")
    for number in range(3000):
        print(number, file=stream, flush=True)
        assert int(stream.readline()) == number
        print(number, flush=True)
        time.sleep(0.1)
"""

HAMMER = """
import pathlib, socket, sys
attempts = reached = 0
while attempts < 100_000 and not pathlib.Path("/run/hammered").exists():
    with socket.socket() as attempt:
        attempt.settimeout(0.002)
        reached += attempt.connect_ex((sys.argv[1], 8082)) == 0
    attempts += 1
    print(attempts, reached, flush=True)
"""


def reached(client, address, ports=tuple(PORTS)):
    """Return the ports of the address that answer the client."""
    return set(json.loads(client.check_output("python3 -c %s %s", ASK, json.dumps([address, ports]))))


@pytest.fixture(params=["address", "address_v6"])
def server_address(request, variables):
    """Each address of the server."""
    return variables("server", request.param)


@pytest.fixture
def server_v4(variables):
    """The server's IPv4 address."""
    return variables("server", "address")


class Program:
    """A Python program that runs on a host in the background and prints a line now and then."""

    def __init__(self, host, name, text):
        self.host, self.name, self.text = host, name, text

    def start(self, argument):
        """Start it, and wait for its first line."""
        self.host.check_output(
            f"rm -f /run/{self.name}.out && systemd-run --unit {self.name}"
            f" --property StandardOutput=append:/run/{self.name}.out"
            " python3 -c %s %s",
            self.text,
            argument,
        )
        self.goes_on()

    def lines(self):
        """Return the number of lines that it has printed."""
        return int(self.host.check_output(f"cat /run/{self.name}.out | wc -l"))

    def goes_on(self):
        """Wait until it prints another line; fail if it does not."""
        self.host.check_output(
            f"timeout 20 sh -c 'until test $(cat /run/{self.name}.out | wc -l) -gt %s; do sleep 0.1; done'",
            str(self.lines()),
        )

    def stop(self):
        """Stop it."""
        self.host.run(f"systemctl stop {self.name}; systemctl reset-failed {self.name}")


@pytest.fixture
def conversation(hosts):
    """Friend's talk with the server's port 8080 over one connection."""
    talk = Program(hosts["friend"], "talk", TALK)
    yield talk
    talk.stop()


@pytest.fixture
def hammer(hosts):
    """Stranger's attempts to connect to the server's port 8082."""
    attempts = Program(hosts["stranger"], "hammer", HAMMER)
    yield attempts
    attempts.stop()


@pytest.fixture
def neighbour_table(host):
    """Somebody else's table on the server."""
    host.check_output("nft add table inet neighbour && nft add chain inet neighbour theirs")
    yield lambda: host.run("nft list chain inet neighbour theirs").rc == 0
    host.check_output("nft delete table inet neighbour")


@pytest.mark.parametrize("client", REACHED)
def test_clients_reach_what_the_catalogue_says(hosts, server_address, client):
    hosts[client].check_output("ip neigh flush dev eth0")
    assert reached(hosts[client], server_address) == REACHED[client]


def test_a_host_without_services_answers_to_its_extra_rules_and_to_ssh_and_ansible(host, hosts, variables):
    assert reached(host, variables("friend", "address")) == {22, 8083}
    assert reached(hosts["stranger"], variables("friend", "address_v6"), [8083]) == set()
    assert reached(host, variables("stranger", "address_v6")) == {22, 8082}


def test_ping_is_answered(hosts, variables):
    assert hosts["stranger"].check_output("python3 -c %s 4 %s", PING, variables("server", "address")) == "0"
    assert hosts["stranger"].check_output("python3 -c %s 6 %s", PING, variables("server", "address_v6")) == "129"


def test_a_changed_rule_comes_into_force_even_if_a_run_was_killed_and_cuts_nobody(
    hosts, converge, conversation, neighbour_table, server_v4
):
    """Friend loses port 8080 and gets 8082 while it is talking on 8080."""
    conversation.start(server_v4)
    rules = {"firewall_services": [{"name": "closed", "port": 8082, "clients": ["best-friends"]}]}
    assert converge(rules, limit="server", crash_after="Write the rules").killed
    assert reached(hosts["friend"], server_v4) == REACHED["friend"]
    assert converge(rules, limit="server").ok
    assert reached(hosts["friend"], server_v4) == {22, 8082}
    assert neighbour_table()
    conversation.goes_on()


def test_the_first_load_cuts_nobody_and_a_stop_takes_only_the_own_table(
    hosts, host, converge, conversation, neighbour_table, server_v4
):
    host.check_output("systemctl stop firewall")
    assert reached(hosts["stranger"], server_v4) == set(PORTS)
    assert neighbour_table()
    conversation.start(server_v4)
    assert converge(limit="server").ok
    assert reached(hosts["stranger"], server_v4) == REACHED["stranger"]
    conversation.goes_on()


def test_what_somebody_changed_by_hand_is_named_and_undone(hosts, host, run, converge, server_v4, variables):
    """A port that was opened, an address that was let in, and at last the whole table that was flushed."""
    host.check_output("nft insert rule inet firewall input tcp dport 8082 accept")
    host.check_output(f"nft 'add element inet firewall best-friends_ipv4 {{ {variables('stranger', 'address')} }}'")
    assert reached(hosts["stranger"], server_v4) == {22, 8080, 8081, 8082}
    assert run(check=True, limit="server").changed == {"server": 1}
    assert converge(limit="server").changed == {"server": 1}
    assert reached(hosts["stranger"], server_v4) == REACHED["stranger"]

    host.check_output("nft delete table inet firewall")
    assert converge(limit="server").changed == {"server": 1}
    assert reached(hosts["stranger"], server_v4) == REACHED["stranger"]


def test_a_restart_leaves_no_moment_without_rules(hosts, host, hammer, server_v4):
    hammer.start(server_v4)
    for _ in range(10):
        host.check_output("systemctl restart firewall")
    hammer.goes_on()
    hosts["stranger"].check_output("touch /run/hammered")
    assert hosts["stranger"].check_output("tail -n 1 /run/hammer.out").endswith(" 0")


WEB = {"name": "web", "port": 8080, "clients": ["anywhere"]}
REFUSED = [
    ({"firewall_extra_rules": ["tcp dport 8082 welcome"]}, "firewall_extra_rules"),
    (
        {"firewall_services": [WEB | {"clients": ["foes"]}]},
        "firewall_services['web'].clients is ['foes']; it takes a list, each of best-friends, nobody, anywhere.",
    ),
    (
        {"firewall_services": [WEB | {"port": 80800}]},
        "firewall_services['web'].port is 80800; it takes a port, from 1 to 65535.",
    ),
    (
        {"firewall_services": [WEB | {"protocol": "sctp"}]},
        "value of protocol must be one of: tcp, udp, got: sctp found in firewall_services",
    ),
    (
        {"firewall_services": [WEB | {"prot": 70}]},
        "firewall_services.prot. Supported parameters include: clients, name, port, protocol.",
    ),
    (
        {"firewall_addresses": {"best-friends": ["198.18.0.256/x"], "nobody": []}},
        "firewall_addresses['best-friends'].addresses is ['198.18.0.256/x']; it takes a list, each element an address"
        " or a network of IPv4 or IPv6.",
    ),
    (
        {"firewall_addresses": {"best-friends": [], "nobody": [], "anywhere": []}},
        "firewall_addresses['anywhere'].name is 'anywhere'; it takes none of anywhere.",
    ),
    (
        {"firewall_ssh_clients": ["foes"]},
        "firewall_ssh_clients is ['foes']; it takes a list, each of best-friends, nobody,",
    ),
    ({"firewall_ssh_clients": ["nobody"]}, "None of firewall_ssh_clients has an address in firewall_addresses"),
]


def test_bad_values_are_refused_and_the_old_rules_stay(hosts, converge, server_v4):
    for values, complaint in REFUSED:
        run = converge(values, limit="server")
        assert not run.ok, values
        assert complaint in run.message
        assert not run.changed
    assert reached(hosts["stranger"], server_v4) == REACHED["stranger"]
