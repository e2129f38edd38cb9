"""Find what can't be right in the settings of the role."""

from __future__ import annotations

import difflib
import re
from urllib.parse import urlsplit

ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[A-Za-z0-9.-]+")
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9])?(:[0-9]+)?")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
UNIT = re.compile(r"[A-Za-z0-9:_.@-]+")
PEM = "-----BEGIN CERTIFICATE-----"

ONE_LINE = "of one line that neither begins nor ends with a space, as Prometheus drops those"

PROBE_KEYS = ("url", "host", "status", "content", "ca", "insecure", "timeout", "max_seconds")
DOOR_KEYS = ("url", "user", "password", "ca", "server_name")
HOST_KEYS = ("groups", "metrics")


def is_number(value):
    """Whether the value is a number, and not a text that looks like one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_name(value):
    """Whether the value can be a name in a label and in a path."""
    return isinstance(value, str) and bool(NAME.fullmatch(value))


def is_password(value):
    """Whether the value can be a password that Prometheus reads from a file."""
    return isinstance(value, str) and bool(re.fullmatch(r"\S(.*\S)?", value))


def is_url(value, *schemes):
    """Whether the value is a URL with a host and a port that can be, and nothing that would need quoting."""
    if not isinstance(value, str) or re.search(r"[\s\"'\\{}<>]", value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False


def is_regexp(value):
    """Whether the value is a regular expression, as far as Python can tell. Prometheus' own checker looks again."""
    try:
        return isinstance(value, str) and bool(value) and bool(re.compile(value))
    except re.error:
        return False


def unknown(where, value, known):
    """Yield the keys that are not known, or that the value has no keys at all."""
    if not isinstance(value, dict):
        yield f"{where} is {value!r}; it takes a dictionary with: {', '.join(known)}"
        return
    for key in value:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"It can be one of: {', '.join(known)}"
            yield f"{where}.{key} is not known. {hint}"


def probe_mistakes(probes, interval):
    """Yield what is wrong with the pages to look at."""
    for name, probe in probes.items():
        where = f"prometheus_probes['{name}']"
        yield from unknown(where, probe, PROBE_KEYS)
        if not is_name(name):
            yield f"{where}: a name has letters, digits, '.', '_' and '-'"
        if not isinstance(probe, dict):
            continue
        checks = {
            "url": (is_url(probe.get("url"), "http", "https"), "an http or https URL, without a login"),
            "host": (HOST_NAME.fullmatch(str(probe.get("host", "localhost"))), "a host name, with a port if need be"),
            "status": (probe.get("status", 200) in range(100, 600), "a status of HTTP, 100 to 599"),
            "content": (is_regexp(probe.get("content", ".")), "a regular expression"),
            "ca": (PEM in str(probe.get("ca", PEM)), "certificates in PEM"),
            "insecure": (isinstance(probe.get("insecure", False), bool), "true or false"),
            "timeout": (
                is_number(probe.get("timeout", 1)) and 1 <= probe.get("timeout", 1) <= interval,
                f"seconds, 1 to {interval}, which is prometheus_probe_interval",
            ),
            "max_seconds": (
                is_number(probe.get("max_seconds", 1)) and probe.get("max_seconds", 1) > 0,
                "seconds, more than 0",
            ),
        }
        for key, (fine, wanted) in checks.items():
            if not fine:
                yield f"{where}.{key} is {probe.get(key)!r}; it takes {wanted}"


def door_mistakes(name, door):
    """Yield what is wrong with a door that has to be logged in to. Its password is not told."""
    if not door:
        return
    yield from unknown(name, door, DOOR_KEYS)
    if not is_url(door.get("url"), "https"):
        yield f"{name}.url is {door.get('url')!r}; it takes an https URL, without a login"
    if not re.fullmatch(r"[^\s:\"]+", str(door.get("user") or "")):
        yield f"{name}.user is {door.get('user')!r}; it takes a name without spaces, quotes and colons"
    if not is_password(door.get("password")):
        yield f"{name}.password must not be empty, but {ONE_LINE}"
    if door.get("ca") and PEM not in str(door["ca"]):
        yield f"{name}.ca takes certificates in PEM"
    if not HOST_NAME.fullmatch(str(door.get("server_name") or "localhost")):
        yield f"{name}.server_name is {door['server_name']!r}; it takes a host name"


def host_mistakes(hosts, gateway):
    """Yield what is wrong with the hosts."""
    for name, host in hosts.items():
        where = f"prometheus_hosts['{name}']"
        yield from unknown(where, host, HOST_KEYS)
        if not is_name(name):
            yield f"{where}: a name has letters, digits, '.', '_' and '-'"
        if not isinstance(host, dict):
            continue
        groups, metrics = host.get("groups", []), host.get("metrics")
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            yield f"{where}.groups is {groups!r}; it takes a list of names"
        if not isinstance(metrics, dict) or "node" not in metrics:
            yield f"{where}.metrics is {metrics!r}; it takes a dictionary with node, and with its other exporters"
            continue
        for exporter, path in metrics.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", str(exporter)):
                yield f"{where}.metrics.{exporter}: an exporter's name has small letters, digits and '_'"
            if not is_name(path) and not is_url(path, "http"):
                yield f"{where}.metrics.{exporter} is {path!r}; it takes a name below the gateway's URL, or an http URL"
            elif is_name(path) and not gateway:
                yield f"{where}.metrics.{exporter} is {path!r}, a name below the gateway's URL, which is not set"


def service_mistakes(services):
    """Yield what is wrong with the catalogue, as far as it is read here."""
    for name, service in services.items():
        where = f"prometheus_services['{name}']"
        if not is_name(name):
            yield f"{where}: a name has letters, digits, '.', '_' and '-'"
        if not isinstance(service, dict) or not isinstance(service.get("group"), str):
            yield f"{where} must name the group that runs it"
        elif "unit" in service and not UNIT.fullmatch(str(service["unit"])):
            yield f"{where}.unit is {service['unit']!r}; it takes the name of a systemd unit"


def user_mistakes(users):
    """Yield what is wrong with the users. Their passwords are not told."""
    if not users:
        yield "prometheus_users is empty: nobody could open the page"
    for name, password in users.items():
        if not re.fullmatch(r"[^\s:\"]+", str(name)):
            yield f"prometheus_users: {name!r} is no name: it must have no spaces, quotes and colons"
        if not is_password(password) or len(password.encode()) > 72:
            yield f"prometheus_users['{name}'] must be a password of 1 to 72 bytes, {ONE_LINE}"


def limit_mistakes(limits, known):
    """Yield what is wrong with the numbers."""
    yield from unknown("prometheus_limits", limits, tuple(known))
    for name, value in limits.items():
        if not is_number(value) or value <= 0:
            yield f"prometheus_limits.{name} is {value!r}; it takes a number, more than 0"
        elif name.endswith("_free") and value >= 100:
            yield f"prometheus_limits.{name} is {value!r}; it takes a percentage, less than 100"
        elif name.endswith("_seconds") and not isinstance(value, int):
            yield f"prometheus_limits.{name} is {value!r}; it takes whole seconds"


def address_mistakes(recipients, sender):
    """Yield who can't be mailed to, or from."""
    if not recipients:
        yield "prometheus_recipients is empty: nobody would be told"
    for address in recipients:
        if not ADDRESS.fullmatch(str(address)):
            yield f"prometheus_recipients: {address!r} is no e-mail address"
    if not ADDRESS.fullmatch(sender):
        yield f"prometheus_sender is {sender!r}; it takes an e-mail address"


def prometheus_mistakes(settings, limits):
    """Return a sentence for everything that can't be right, given the role's own limits."""
    return [
        *user_mistakes(settings["users"]),
        *address_mistakes(settings["recipients"], settings["sender"]),
        *probe_mistakes(settings["probes"], settings["probe_interval"]),
        *door_mistakes("prometheus_gateway", settings["gateway"]),
        *host_mistakes(settings["hosts"], settings["gateway"]),
        *service_mistakes(settings["services"]),
        *door_mistakes("prometheus_heartbeat", settings["heartbeat"]),
        *limit_mistakes(settings["limits"], limits),
    ]


class FilterModule:
    """What Ansible looks for."""

    def filters(self):
        """Return the filters by name."""
        return {"prometheus_mistakes": prometheus_mistakes}
