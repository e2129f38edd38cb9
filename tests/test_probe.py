"""The probe module, against servers that answer rightly, wrongly and not at all."""

import socketserver
import struct
import subprocess
import threading

import pytest
import yaml
from conftest import PROJECT, load

probe = load(PROJECT / "plugins/modules/probe.py")


def hello(document):
    """Return MongoDB's answer with the given BSON elements."""
    body = b"\0\0\0\0\0" + struct.pack("<i", len(document) + 5) + document + b"\0"
    return struct.pack("<iiii", len(body) + 16, 2, 1, 2013) + body


@pytest.fixture
def ask():
    """Ask a server that says ``answer`` to whatever it hears; ``expected`` is what the probe says of it besides."""
    servers = []

    def run(protocol, answer, *, speaks_first=False, **expected):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                if not speaks_first:
                    self.request.recv(4096)
                self.request.sendall(answer)

        server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        service = {"port": server.server_address[1], "probe": {"protocol": protocol, "path": "/healthz"} | expected}
        return probe.ask("service", service, "127.0.0.1", "famigo.com", 2)

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("protocol", "answer", "well"),
    [
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        ("http", b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", False),
        ("http", b"SSH-2.0-confused\r\n", False),
        ("https", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        ("memcached", b"VERSION 1.6.18\r\n", True),
        ("memcached", b"ERROR\r\n", False),
        ("mongodb", hello(b"\x08isWritablePrimary\0\x01"), True),
        ("mongodb", hello(b"\x08isWritablePrimary\0\0\x08secondary\0\x01"), True),
        ("mongodb", hello(b"\x08isWritablePrimary\0\0\x08secondary\0\0"), False),
        ("mongodb", b"", False),
        ("redis", b"-NOAUTH Authentication required.\r\n", True),
        ("redis", b"+PONG\r\n", False),
        ("redis", b"", False),
    ],
)
def test_a_well_and_an_unwell_answer_are_told_apart(ask, protocol, answer, well):
    assert ask(protocol, answer)["well"] is well


@pytest.mark.parametrize(
    ("expected", "well"),
    [({"status": 401}, True), ({"status": 200}, False), ({"status": 401, "content": "log in"}, True)]
    + [({"status": 401, "content": "welcome"}, False)],
)
def test_a_page_must_have_the_status_and_the_content_that_the_catalogue_names(ask, expected, well):
    page = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 13\r\n\r\nPlease log in"
    assert ask("http", page, **expected)["well"] is well


@pytest.mark.parametrize(("answer", "well"), [(b"SSH-2.0-OpenSSH_9.2\r\n", True), (b"220 mail\r\n", False)])
def test_an_ssh_server_speaks_first(ask, answer, well):
    assert ask("ssh", answer, speaks_first=True)["well"] is well


@pytest.mark.parametrize(("code", "said", "well"), [(0, "active", True), (3, "failed", False), (4, "", False)])
def test_a_service_without_a_port_is_asked_of_systemd(monkeypatch, code, said, well):
    monkeypatch.setattr(
        probe.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], code, f"{said}\n", "")
    )
    answer = probe.ask("worker", {"unit": "famigo-worker"}, "127.0.0.1", "famigo.com", 2)
    assert answer["well"] is well
    assert answer["said"] == (said if well else f"famigo-worker is {said or 'unknown'}")


@pytest.mark.parametrize(
    ("line", "well", "said"),
    [
        ("/bin/echo it works | x=1", True, "it works"),
        ("/usr/bin/env sh -c exit\\ 1", True, "exit code 1"),
        ("/bin/ls /nowhere", False, "exit code 2"),
        ("/bin/sleep 9", False, "no answer within 0.5 s"),
        ("/nowhere/check", False, "No such file or directory"),
    ],
)
def test_a_command_is_run_as_a_plugin_of_nagios(line, well, said):
    answer = probe.ask("mail", {"probe": {"command": line}}, "127.0.0.1", "famigo.com", 0.5)
    assert answer["well"] is well
    assert said in answer["said"]


def test_a_closed_port_is_unwell_and_says_so():
    answer = probe.ask("gone", {"port": 1, "probe": {"protocol": "tcp"}}, "127.0.0.1", "famigo.com", 2)
    assert not answer["well"]
    assert "refused" in answer["said"]


def test_all_who_ask_a_service_know_the_same_protocols():
    catalogue = yaml.safe_load((PROJECT / "group_vars/all/services.yml").read_text())["service_options"]
    monit = yaml.safe_load((PROJECT / "roles/monit/vars/main.yml").read_text())
    nagios = yaml.safe_load((PROJECT / "roles/nagios/meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    assert sorted(catalogue["probe"]["options"]["protocol"]["choices"]) == sorted(probe.PROTOCOLS)
    assert sorted(monit["__monit_protocols"]) == sorted(probe.PROTOCOLS)
    asked = nagios["options"]["nagios_services"]["options"]["protocol"]["choices"]
    assert sorted(asked) == sorted(probe.PROTOCOLS)
