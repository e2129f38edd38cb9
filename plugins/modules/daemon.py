"""Run a systemd unit on the configuration that is on disk."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.systemd import LOG_LINES, systemctl, tail

DOCUMENTATION = """
module: daemon
short_description: Run a systemd unit on the configuration that is on disk
description:
  - Enables and starts a unit, and restarts or reloads it when any of its files changed after the running process took
    them over. What is compared is the state of the host, not what this run changed, so a restart that an earlier,
    interrupted run owes is made good by the next one. No handler is needed.
  - The host's time zone, C(/etc/localtime), is one of every service's files, for a process reads it once.
  - Puts back what a person changed by hand after the unit had set it up, as O(holds) tells; for C(systemd-sysctl), the
    kernel parameters of O(files).
  - Reads new unit files (C(daemon-reload)) when systemd says that it needs to.
  - Joins a start that is under way, and starts the unit itself if that one fails.
  - Fails with the last lines of the unit's journal, and of its own log if it has one, when the unit does not stay up.
  - Warns of drop-ins that a person made, since they change what a role's unit does.
  - A unit whose start conditions this host does not meet (C(ConditionVirtualization=) in a container) counts as run.
  - In check mode a unit that does not exist yet is reported as one that would be started.
options:
  name:
    description: The unit's name, with its suffix unless that is C(.service).
    type: str
    required: true
  files:
    description: Files, or glob patterns of files, that the process reads when it starts or reloads.
    type: list
    elements: path
    default: []
  on_change:
    description: How changed files are taken over.
    type: str
    choices: [restart, reload]
    default: restart
  restart_files:
    description: With O(on_change=reload), the files that only a restart takes over. The unit's own always are of these.
    type: list
    elements: path
    default: []
  holds:
    description:
      - A shell command that changes nothing and tells whether what the unit set up still holds. It ends with 0 if so,
        and with 1 if the files have to be taken over again. With any other code it can't tell, which is a warning.
    type: str
  log:
    description: The log file that the daemon writes itself, whose end joins the journal's in a failure.
    type: path
  enabled:
    description: Whether the unit starts at boot.
    type: bool
    default: true
author: the maintainers
"""

EXAMPLES = """
- name: Run Memcached
  daemon:
    name: memcached
    files: [/etc/memcached.conf]
"""

RETURN = """
action:
  description: What was done, or would be in check mode (V(none), V(start), V(restart) or V(reload)).
  type: str
  returned: always
newer_files:
  description: The files that changed after the process took them over.
  type: list
  elements: str
  returned: always
undone:
  description: What no longer is as the unit had set it up, the command of O(holds) or the names of kernel parameters.
  type: list
  elements: str
  returned: always
"""

APPLIED = Path("/run/ansible-daemon")
"""A file per unit, as old as the last reload by this module. On tmpfs: a boot takes every file over anyway."""

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "ConditionResult",
    "ConditionTimestamp",
    "ActiveEnterTimestamp",
    "ExecMainStartTimestamp",
    "FragmentPath",
    "DropInPaths",
)

TIME_ZONE = "/etc/localtime"

PARAMETERS = Path("/proc/sys")
"""Where the kernel's parameters are."""

MADE_HERE = ("/etc/", "/run/")
"""Where the drop-ins are that no package brought."""

OURS = b"Ansible managed"
"""The mark that the templates of the roles leave in a file."""

STEADY_SECONDS = 1.0
"""How long a unit is watched after a start: a wrong configuration usually ends a daemon within this time."""


class Unit:
    """A systemd unit as it is on this host now."""

    def __init__(self, name):
        self.name = name if "." in name else f"{name}.service"
        self.marker = APPLIED / self.name
        self.refresh()

    def refresh(self):
        """Ask systemd for the unit's state."""
        _, output = systemctl("show", self.name, "--timestamp=us+utc", "--property", ",".join(PROPERTIES))
        self.state = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)

    def __getitem__(self, key):
        return self.state.get(key, "")

    @property
    def exists(self):
        """Whether systemd finds the unit's file."""
        return self["LoadState"] not in ("", "not-found")

    @property
    def skipped(self):
        """Whether systemd declined to start the unit because its conditions are not met on this host."""
        checked = self["ConditionTimestamp"] and self["ConditionResult"] == "no"
        return bool(checked) and self["ActiveState"] == "inactive"

    @property
    def outdated(self):
        """Whether systemd has to read the unit's files again. By itself it overlooks the first drop-in of a unit."""
        drop_ins = {str(path) for path in Path("/etc/systemd/system").glob(f"{self.name}.d/*.conf")}
        return not self.exists or self["NeedDaemonReload"] == "yes" or not drop_ins <= set(self["DropInPaths"].split())

    @property
    def running(self):
        """Whether the unit does its work, which for a timer or a socket means that it is armed."""
        return self["ActiveState"] in ("active", "reloading") or self.skipped

    @property
    def own_files(self):
        """The unit file and its drop-ins."""
        return [path for path in (self["FragmentPath"], *self["DropInPaths"].split()) if path]

    @property
    def in_transition(self):
        """Whether systemd is at work on the unit: a start, a stop, or the wait before the next start."""
        return self["ActiveState"] in ("activating", "deactivating")

    @property
    def foreign_drop_ins(self):
        """The drop-ins that neither a package nor a role made."""
        paths = [Path(path) for path in self["DropInPaths"].split() if path.startswith(MADE_HERE)]
        own = [path for path in paths if path.parent.name == f"{self.name}.d" and path.exists()]
        return [path for path in own if OURS not in path.read_bytes()]

    def started_at(self):
        """When the process last started, in seconds since the epoch; 0 if it did not."""
        when = (
            self["ConditionTimestamp"]
            if self.skipped
            else self["ExecMainStartTimestamp"] or self["ActiveEnterTimestamp"]
        )
        if not when:
            return 0.0
        # Not by strptime, which takes the day's name in the language of the host only.
        _, day, clock, _ = when.split()
        return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC).timestamp()

    def reloaded_at(self):
        """When this module last reloaded the unit, in seconds since the epoch; 0 if it did not."""
        with contextlib.suppress(FileNotFoundError):
            return self.marker.stat().st_mtime
        return 0.0

    def last_words(self, log=None):
        """Return the end of the unit's journal, and of its own log, for a person to read."""
        done = subprocess.run(
            ["/usr/bin/journalctl", "--unit", self.name, "--lines", str(LOG_LINES), "--no-pager", "--output", "cat"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        words = f"Its journal ends:\n{done.stdout.strip()}"
        return f"{words}\n{log} ends:\n{tail(log)}" if log else words


def newer(patterns, moment):
    """Return the files that changed after the moment (seconds since the epoch), each pattern expanded.

    A link changed too if it leads elsewhere now.
    """
    return [str(path) for path in expand(patterns) if max(path.stat().st_ctime, path.lstat().st_ctime) > moment]


def expand(patterns):
    """Return the paths of files and glob patterns, in their order."""
    return sorted({path for pattern in patterns for path in Path("/").glob(pattern.lstrip("/"))})


def other_parameters(patterns):
    """Return the kernel parameters that have other values than in the files, and that this host may write.

    Of several files that set one, the last counts.
    """
    wanted = {}
    for path in expand(patterns):
        for line in path.read_text(errors="replace").splitlines():
            name, equals, value = line.partition("=")
            name = name.strip().lstrip("-")
            if equals and not name.startswith(("#", ";")):
                wanted[name if "/" in name else name.replace(".", "/")] = value.split()

    def differs(name):
        path = PARAMETERS / name
        with contextlib.suppress(OSError):
            return os.access(path, os.W_OK) and path.read_text().split() != wanted[name]
        return False

    return [name.replace("/", ".") for name in sorted(filter(differs, wanted))]


def undone(module, unit):
    """Return what was changed by hand after the unit had set it up."""
    command = module.params["holds"]
    if unit.skipped or not unit.running:
        return []
    if unit.name == "systemd-sysctl.service":
        return other_parameters(module.params["files"])
    if not command:
        return []
    code, _, error = module.run_command(["/bin/sh", "-c", command])
    if code > 1:
        module.warn(f"Whether somebody changed by hand what {unit.name} had set up can't be told: {error.strip()}")
    return [command] if code == 1 else []


def decide(unit, parameters, undone=()):
    """Return the action that brings the unit up to date, and the files that call for it."""
    if not unit.running:
        return "start", []
    started = unit.started_at()
    files = parameters["files"] + ([TIME_ZONE] if unit.name.endswith(".service") else [])
    stale = newer(parameters["restart_files"] + unit.own_files, started)
    on_change = parameters["on_change"]
    if on_change == "restart":
        stale += newer(files, started)
    if stale:
        return "restart", stale
    stale = newer(files, max(started, unit.reloaded_at()))
    return (on_change, stale) if stale or undone else ("none", [])


def act(unit, action, log):
    """Have systemd start, restart or reload the unit; return why it does not run, or nothing."""
    if action != "reload":
        # The units that this one pulls in, such as its socket, may have new files too.
        systemctl("daemon-reload")
        systemctl("reset-failed", unit.name)
    code, output = systemctl(action, unit.name)
    if code:
        return f"systemctl {action} {unit.name} failed: {output}\n{unit.last_words(log)}"
    return watch(unit, log)


def watch(unit, log):
    """Return why the unit does not stay up for a moment, or nothing."""
    until = time.monotonic() + STEADY_SECONDS
    while True:
        unit.refresh()
        if not unit.running:
            return (
                f"{unit.name} did not stay up: it is {unit['ActiveState']} ({unit['SubState']}). {unit.last_words(log)}"
            )
        if time.monotonic() > until or unit["SubState"] in ("exited", "dead", "listening", "waiting", "mounted"):
            return None
        time.sleep(0.1)


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
            "on_change": {"type": "str", "choices": ["restart", "reload"], "default": "restart"},
            "restart_files": {"type": "list", "elements": "path", "default": []},
            "holds": {"type": "str"},
            "log": {"type": "path"},
            "enabled": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    unit = Unit(parameters["name"])

    if unit.outdated and not module.check_mode:
        systemctl("daemon-reload")
        unit.refresh()
    if not unit.exists:
        if module.check_mode:
            module.exit_json(changed=True, action="start", newer_files=[], undone=[])
        module.fail_json(msg=f"There is no systemd unit {unit.name} on this host: is its package installed?")
    if unit["LoadState"] == "masked":
        module.fail_json(msg=f"{unit.name} is masked on this host. Run: systemctl unmask {unit.name}")

    for path in unit.foreign_drop_ins:
        module.warn(f"{path} changes {unit.name}, and no role wrote it: remove it, or say what it says by a role.")

    differences = undone(module, unit)
    action, stale = decide(unit, parameters, differences)
    at_boot = unit["UnitFileState"] != "disabled"
    switch = unit["UnitFileState"] in ("disabled", "enabled") and parameters["enabled"] != at_boot
    result = {"changed": action != "none" or switch, "action": action, "newer_files": stale, "undone": differences}
    if module.check_mode or not result["changed"]:
        module.exit_json(**result)

    if switch:
        verb = "enable" if parameters["enabled"] else "disable"
        code, output = systemctl(verb, unit.name)
        if code:
            module.fail_json(msg=f"systemctl {verb} {unit.name}: {output}", **result)
    if action != "none":
        asked_at = time.time()
        joins = unit.in_transition
        problem = act(unit, action, parameters["log"])
        if problem and joins:
            # The start that was under way had read the files of its own time.
            problem = act(unit, "restart", parameters["log"])
        if problem:
            module.fail_json(msg=problem, **result)
        if action == "reload":
            APPLIED.mkdir(mode=0o755, exist_ok=True)
            unit.marker.touch()
            os.utime(unit.marker, (asked_at, asked_at))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
