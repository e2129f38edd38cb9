"""Ask services whether they are well, each in its own protocol."""

from __future__ import annotations

import shlex
import socket
import ssl
import struct
import subprocess
import time
from http.client import HTTPConnection, HTTPException

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: probe
short_description: Ask services whether they are well, each in its own protocol
description:
  - Connects to each service's port from the host that the module runs on, and speaks the service's protocol.
  - Asks systemd for the unit of a service without a probe.
  - Changes nothing, needs no credentials, and never fails because of an unwell service, of which the caller decides.
options:
  services:
    description:
      - The services by name. Of an entry, C(port) and C(probe) are read, or C(unit) where it has no probe.
      - C(probe.protocol) is one of V(http), V(https), V(memcached), V(mongodb) (a member that can be read), V(redis)
        (answers, and not without a login), V(ssh) and V(tcp).
      - Over HTTP, C(probe.path) must be answered with C(probe.status), or any from 200 to 399 if that is not given, and
        with a body that holds C(probe.content). Certificates are not verified, since the host is asked by its address.
      - C(probe.command), in place of a protocol, is run as a plugin of Nagios: 0 (well) and 1 (a warning) will do.
    type: dict
    required: true
  address:
    description: The address that the services listen on.
    type: str
    required: true
  http_host:
    description: The host name that requests over HTTP are for.
    type: str
    default: localhost
  timeout:
    description: Seconds that one service may take to answer.
    type: float
    default: 5
author: the maintainers
"""

EXAMPLES = """
- name: Ask Memcached
  probe:
    address: 10.0.1.21
    services:
      memcached: {port: 11211, probe: {protocol: memcached}}
"""

RETURN = """
results:
  description: For each service its C(service) name, whether it is C(well), what it C(said), and the C(ms) it took.
  type: list
  elements: dict
  returned: always
"""


class Unwell(Exception):
    """The service answered, and what it said is not what a healthy one says."""


def tcp(connection, probe, http_host):
    """A connection is all that is asked for."""
    return "connected"


def ssh_banner(connection, probe, http_host):
    """An SSH server speaks first."""
    banner = connection.recv(64).decode("ascii", "replace").strip()
    if not banner.startswith("SSH-2.0"):
        raise Unwell(f"said {banner!r} instead of SSH-2.0")
    return banner


def http(connection, probe, http_host):
    """Get the path, and look at the status and at what is in the body."""
    client = HTTPConnection(http_host)
    client.sock = connection
    client.request("GET", probe.get("path", "/"), headers={"User-Agent": "probe"})
    answer = client.getresponse()
    wanted = [probe["status"]] if "status" in probe else range(200, 400)
    if answer.status not in wanted:
        raise Unwell(f"answered {answer.status}")
    if probe.get("content", "") not in answer.read().decode("utf-8", "replace"):
        raise Unwell(f"answered {answer.status} without {probe['content']!r}")
    return str(answer.status)


def https(connection, probe, http_host):
    """Do the same over TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connection, server_hostname=http_host) as secured:
        return http(secured, probe, http_host)


def memcached(connection, probe, http_host):
    """Ask for the version."""
    connection.sendall(b"version\r\n")
    answer = connection.recv(64).decode("ascii", "replace").strip()
    if not answer.startswith("VERSION"):
        raise Unwell(f"said {answer!r}")
    return answer


def mongodb(connection, probe, http_host):
    """Say hello, which needs no login, and look for a member that can be read."""

    def element(kind, name, value):
        return kind + name.encode() + b"\0" + value

    text = b"admin\0"
    body = element(b"\x10", "hello", struct.pack("<i", 1))
    body += element(b"\x02", "$db", struct.pack("<i", len(text)) + text)
    document = struct.pack("<i", len(body) + 5) + body + b"\0"
    message = struct.pack("<iiiI", 1, 0, 2013, 0) + b"\0" + document
    connection.sendall(struct.pack("<i", len(message) + 4) + message)

    answer = b""
    while len(answer) < 4 or len(answer) < struct.unpack("<i", answer[:4])[0]:
        part = connection.recv(65536)
        if not part:
            raise Unwell("closed the connection")
        answer += part
    for name, state in ((b"\x08isWritablePrimary\0\x01", "primary"), (b"\x08secondary\0\x01", "secondary")):
        if name in answer:
            return state
    raise Unwell("is neither primary nor secondary")


def redis(connection, probe, http_host):
    """Say PING, which a server that is safe and sound answers with the demand to log in."""
    connection.sendall(b"PING\r\n")
    answer = connection.recv(256).decode("ascii", "replace").strip()
    if answer.startswith("+PONG"):
        raise Unwell("answers without a login")
    if not answer.startswith("-NOAUTH"):
        raise Unwell(f"said {answer!r}")
    return "asks for a login"


PROTOCOLS = {
    "http": http,
    "https": https,
    "memcached": memcached,
    "mongodb": mongodb,
    "redis": redis,
    "ssh": ssh_banner,
    "tcp": tcp,
}


def command(line, timeout):
    """Run a plugin of Nagios, and return the first line that it prints, without figures."""
    try:
        done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Unwell(f"no answer within {timeout:g} s") from None
    said = done.stdout.partition("\n")[0].partition("|")[0].strip() or f"exit code {done.returncode}"
    if done.returncode not in (0, 1):
        raise Unwell(said)
    return said


def unit_state(unit):
    """Return what systemd says of a unit that is active."""
    done = subprocess.run(["/usr/bin/systemctl", "is-active", unit], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unwell(f"{unit} is {done.stdout.strip() or 'unknown'}")
    return done.stdout.strip()


def ask(name, service, address, http_host, timeout):
    """Return what became of asking one service."""
    started = time.monotonic()
    try:
        if "command" in service.get("probe", {}):
            said = command(service["probe"]["command"], timeout)
        elif "probe" in service:
            with socket.create_connection((address, service["port"]), timeout=timeout) as connection:
                said = PROTOCOLS[service["probe"]["protocol"]](connection, service["probe"], http_host)
        else:
            said = unit_state(service["unit"])
        well = True
    except (OSError, HTTPException, Unwell) as error:
        said, well = str(error) or type(error).__name__, False
    return {"service": name, "well": well, "said": said, "ms": round((time.monotonic() - started) * 1000, 1)}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "dict", "required": True},
            "address": {"type": "str", "required": True},
            "http_host": {"type": "str", "default": "localhost"},
            "timeout": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    services = module.params["services"]
    for name, service in services.items():
        probe = service.get("probe", {"protocol": "tcp"})
        protocol = probe.get("protocol")
        if "command" not in probe and protocol not in PROTOCOLS:
            module.fail_json(
                msg=f"services: {name}.probe.protocol is {protocol!r}; it can be one of: {', '.join(sorted(PROTOCOLS))}"
            )
    options = [module.params[key] for key in ("address", "http_host", "timeout")]
    module.exit_json(changed=False, results=[ask(name, service, *options) for name, service in services.items()])


if __name__ == "__main__":
    main()
