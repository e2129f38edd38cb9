#!/usr/bin/python3 -IS
"""What Monit lacks: it knows no units of systemd, and its ways to start a program wait for it and know no rest.

cycle                    Once in each of Monit's cycles: write down the services' processes, and keep or end a pause.
start|restart NAME       What Monit asks for when a service is missing or does not answer.
pause SECONDS|--end      Have Monit leave all services alone for so long from now on, or watch them again.
check                    A plugin for Nagios, which needs no rights: what is given up, resting, paused or not watched.
mend                     Give what was given up another chance, and watch everything but in a pause.

The host's checks print a line for each problem; the exit code is their number:
filesystems SPACE INODES Local filesystems that are read-only, or full to more than so many percent.
failed                   Units that failed, but for the services, which have checks of their own.
clock SECONDS            The clock, where chrony or systemd-timesyncd keeps it.
certificates DAYS PATH...
"""

import fcntl
import json
import os
import re
import subprocess
import sys
import syslog
import time
from contextlib import contextmanager, suppress
from pathlib import Path

SETTINGS = Path("/etc/monit/watch.json")
FSTAB = Path("/etc/fstab")
MOUNTS = Path("/proc/self/mountinfo")

# Times are seconds since the boot, which also empties the folder. Of each service there can be:
#   NAME.pid       its process, for Monit
#   NAME.restarts  how often systemd restarted it by itself
#   NAME.died      when that last happened, until Monit has noticed
#   NAME.attempts  how many attempts to start it there were in a row, when the last was, when Monit last asked for one
#   NAME.given-up  that there are no more, for Monit
RUN = Path("/run/monit")
PAUSED = RUN / "paused"

UNKNOWN = 3
LONGEST_PAUSE = 86400

# These the kernel makes read-only when they are damaged.
DISK_TYPES = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "xfs"}
LOCAL_TYPES = DISK_TYPES | {"tmpfs", "vfat", "zfs"}
TIME_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600}


def now():
    """Return the time by the clock that systemd uses, too."""
    return int(time.monotonic())


def numbers(path, default):
    """Return the numbers in a file, or the default if it is missing or damaged."""
    with suppress(OSError, ValueError):
        found = [int(word) for word in path.read_text().split()]
        if len(found) == len(default):
            return found
    return default


def write(path, *words):
    """Replace a file at once, so that nobody reads half of it."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(" ".join(map(str, words)) + "\n")
    new.replace(path)


def eventually(condition, tries, seconds):
    """Whether the condition comes to hold, looked at so many times, so many seconds apart."""
    for number in range(tries):
        if number:
            time.sleep(seconds)
        if condition():
            return True
    return False


@contextmanager
def lock(name, seconds=0):
    """Hold a lock for the block if it can be had within so many seconds. The block is told whether it is held."""
    with (RUN / f"{name}.lock").open("w") as file:

        def take():
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True

        yield eventually(take, 1 + 5 * seconds, 0.2)


def run(*command, check=False):
    """Run a command and return it, done, with what it printed. With check, it fails loudly."""
    errors = None if check else subprocess.DEVNULL
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, check=check)


def active(*units):
    """Whether any of the units runs."""
    return run("systemctl", "--quiet", "is-active", *units).returncode == 0


def show(properties, *units):
    """Return the properties of each unit, as systemd has them."""
    shown = run("systemctl", "show", f"--property=Id,{properties}", *units, check=True).stdout
    return [dict(line.split("=", 1) for line in unit.splitlines()) for unit in shown.strip().split("\n\n")]


def load():
    """Return the role's settings, and with them how long a service must be well for its past to be forgotten."""
    settings = json.loads(SETTINGS.read_text())
    return settings | {"calm": 60 + 6 * settings["interval"]}


# The services


def tries(name):
    """Return the number of attempts to start a service, when the last was made, and when Monit last asked for one."""
    return numbers(RUN / f"{name}.attempts", [0, 0, 0])


def forget(name):
    """Forget the attempts to start a service."""
    (RUN / f"{name}.attempts").unlink(missing_ok=True)
    (RUN / f"{name}.given-up").unlink(missing_ok=True)


def follow(name, pid, restarts, calm):
    """Write a service's process down for Monit.

    Monit shall see that systemd restarted one that died, but not that somebody restarted it on purpose: after the
    former there is no process until Monit asked for a start.
    """
    died, noted = RUN / f"{name}.died", RUN / f"{name}.pid"
    [known] = numbers(RUN / f"{name}.restarts", [None])
    if known is not None and restarts > known and not pause_left():
        write(died, now())
    if restarts != known:
        write(RUN / f"{name}.restarts", restarts)

    if pid and now() - numbers(died, [0])[0] > calm:
        died.unlink(missing_ok=True)
    if pid and not died.exists() and now() - tries(name)[2] > calm:
        forget(name)

    if not pid or died.exists():
        noted.unlink(missing_ok=True)
    elif numbers(noted, [0]) != [pid]:
        write(noted, pid)


def cycle():
    """Do what is to be done in each of Monit's cycles."""
    settings = load()
    if PAUSED.exists():
        keep_pause()
    services = settings["services"]
    units = show("MainPID,NRestarts", *services.values()) if services else []
    for name, unit in zip(services, units, strict=True):
        follow(name, int(unit.get("MainPID", 0)), int(unit.get("NRestarts", 0)), settings["calm"])
    # A pause is there until Monit watches again.
    if not PAUSED.exists() and now() - numbers(RUN / "looked", [0])[0] >= 60:
        write(RUN / "unwatched", *unwatched())
        write(RUN / "looked", now())
    write(RUN / "cycle", now())
    return 0


def may_try(name, count, tried, settings):
    """Whether a service neither rests after so many attempts nor is given up, which it may be from now on."""
    row, unfinished = divmod(count, settings["attempts"])
    if row > len(settings["rests"]):
        given_up = RUN / f"{name}.given-up"
        if not given_up.exists():
            syslog.syslog(syslog.LOG_NOTICE, f"gave up {settings['services'][name]} after {count} attempts")
            write(given_up, f"{count} attempts in a row were in vain")
        return False
    rest = settings["rests"][row - 1] if row and not unfinished else 0
    return now() - tried >= rest


def start(name, verb="start"):
    """Start or restart a service, unless it rests. Monit asks again and again as long as it is not well."""
    settings = load()
    unit = settings["services"].get(name)
    if not unit:
        print(f"{name} is not a service of this host", file=sys.stderr)
        return UNKNOWN
    with lock(name) as mine:
        # One that is at it is enough.
        if not mine or pause_left():
            return 0
        count, tried, _ = tries(name)
        died = RUN / f"{name}.died"
        [state] = show("ActiveState,ActiveEnterTimestampMonotonic,MainPID", unit)
        age = now() - int(state["ActiveEnterTimestampMonotonic"]) // 1_000_000
        if verb == "start" and state.get("MainPID") != "0" and not died.exists():
            # It runs, and the next cycle will find it.
            return 0
        too_soon = verb == "restart" and (state["ActiveState"] != "active" or age < settings["grace"])
        if too_soon or not may_try(name, count, tried, settings):
            write(RUN / f"{name}.attempts", count, tried, now())
            return 0
        count += 1
        write(RUN / f"{name}.attempts", count, now(), now())
        died.unlink(missing_ok=True)
        syslog.syslog(syslog.LOG_NOTICE, f"{verb} of {unit}, attempt {count}")
        run("systemctl", "reset-failed", unit)
        return run("systemctl", verb, unit).returncode


def restart(name):
    """Restart a service that does not answer."""
    return start(name, "restart")


def check():
    """Say how the services fare, as a plugin of Nagios."""
    settings, critical, warning = load(), [], []
    if now() - numbers(RUN / "cycle", [0])[0] > 60 + 12 * settings["interval"]:
        critical.append("Monit does not look after the services")
    for name in settings["services"]:
        count, tried, asked = tries(name)
        if (RUN / f"{name}.given-up").exists():
            critical.append(f"{name} is given up")
        elif count and count % settings["attempts"] == 0 and asked > tried and now() - asked < settings["calm"]:
            warning.append(f"{name} rests after {count} attempts")
    names = (RUN / "unwatched").read_text().strip() if (RUN / "unwatched").exists() else ""
    if left := pause_left():
        warning.append(f"all services are paused for {left} s")
    elif names:
        critical.append(f"not watched: {names}")
    state = 2 if critical else 1 if warning else 0
    said = ", ".join(critical + warning) or f"{len(settings['services'])} services are watched"
    print(f"MONIT {('OK', 'WARNING', 'CRITICAL')[state]}: {said}")
    return state


def mend():
    """Have everything tried and watched again, with a line for each change."""
    for name in load()["services"]:
        # An attempt that is being made writes its number down.
        with lock(name, 120):
            if (RUN / f"{name}.given-up").exists():
                print(f"{name} was given up")
            forget(name)
    if PAUSED.exists():
        return 0
    # A Monit that has just started does not listen yet.
    eventually(summary, 10, 1)
    names = unwatched()
    if names:
        run("monit", "monitor", "all")
    for name in names:
        print(f"{name} was not watched")
    write(RUN / "unwatched")
    return 0


# Monit, and the pause


def summary():
    """Return what Monit says of all that it watches, a line each, and nothing if it does not answer."""
    done = run("monit", "-B", "summary")
    return [line.rstrip() for line in done.stdout.splitlines()] if done.returncode == 0 else []


def unwatched():
    """Return the names of what Monit does not watch."""
    return [line.split()[0] for line in summary() if "Not monitored" in line]


def pause_left():
    """Return how many seconds of a pause are left."""
    return max(0, numbers(PAUSED, [0])[0] - now())


def obeyed(verb):
    """Whether Monit watches all services or none, as the verb has it: what is not yet done counts as not done."""
    lines = summary()
    services = [line for line in lines if line.endswith(" Process")]
    if verb == "monitor":
        return bool(lines) and not any("Not monitored" in line for line in services)
    return bool(lines) and all(re.search(r" Not monitored +Process$", line) for line in services)


def keep_pause():
    """Have Monit heed the pause, which it may have forgotten, or the end of it."""
    with lock("pause") as mine:
        verb = "unmonitor" if pause_left() else "monitor"
        if mine and not obeyed(verb):
            run("monit", "-g", "services", verb)
        elif mine and verb == "monitor":
            PAUSED.unlink(missing_ok=True)


def pause(*words):
    """Begin or end a pause, and return when Monit has done so. Each cycle heeds the file from then on."""
    wanted = " ".join(words)
    if wanted != "--end" and not (wanted.isdecimal() and int(wanted) <= LONGEST_PAUSE):
        print(f"usage: monit-pause SECONDS | --end (SECONDS from 1 to {LONGEST_PAUSE})", file=sys.stderr)
        return 2
    seconds = 0 if wanted == "--end" else int(wanted)
    RUN.mkdir(exist_ok=True)
    verb = "unmonitor" if seconds else "monitor"
    with lock("pause", 300):
        if not seconds and not PAUSED.exists():
            return 0
        write(PAUSED, now() + seconds if seconds else 0)
        for _ in range(30):
            if active("monit"):
                run("monit", "-g", "services", verb)
                if not eventually(lambda: obeyed(verb), 10, 0.2):
                    continue
            if not seconds:
                PAUSED.unlink(missing_ok=True)
            return 0
    print("Monit does not answer; see journalctl -u monit", file=sys.stderr)
    return 1


# The host


def unescape(path):
    """Return a path of fstab or mountinfo, where octal numbers stand for spaces and the like."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def mounts():
    """Yield the path, the type and the filesystem's own options of each local filesystem, where it is first mounted."""
    seen = set()
    for line in MOUNTS.read_text(errors="surrogateescape").splitlines():
        mount, _, filesystem = line.partition(" - ")
        _, _, device, _, path, *_ = mount.split(" ")
        kind, *_, options = filesystem.split(" ")
        if device not in seen and (kind in LOCAL_TYPES or path == "/"):
            seen.add(device)
            yield unescape(path), kind, options.split(",")


def filesystems(space, inodes):
    """Yield what is wrong with the local filesystems."""
    fstab = FSTAB.read_text().splitlines() if FSTAB.exists() else []
    entries = [line.split() for line in fstab if not line.startswith("#")]
    meant = {unescape(entry[1]) for entry in entries if len(entry) > 3 and "ro" in entry[3].split(",")}
    for path, kind, options in mounts():
        # What the kernel made read-only: not this mount, but the filesystem.
        if kind in DISK_TYPES and "ro" in options and path not in meant:
            yield f"{path} is read-only"
        with suppress(OSError):
            size = os.statvfs(path)
            for what, limit, used, free in (
                ("space", space, size.f_blocks - size.f_bfree, size.f_bavail),
                ("inodes", inodes, size.f_files - size.f_ffree, size.f_ffree),
            ):
                # Rounded up, as df does.
                percent = -(-100 * used // (used + free)) if used else 0
                if percent > float(limit):
                    yield f"{path} is full to {percent}% of its {what}"


def failed():
    """Yield the units that failed. The services have checks of their own."""
    units = {unit.removesuffix(".service") for unit in load()["services"].values()}
    done = run("systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", check=True)
    for unit in [line.split()[0] for line in done.stdout.splitlines()]:
        if unit.removesuffix(".service") not in units:
            yield f"{unit} failed"


def clock(limit):
    """Yield what is wrong with the clock, unless nobody keeps it."""
    offset = 0
    if active("chrony", "chronyd"):
        _, _, _, _, offset, *_, leap = run("chronyc", "-c", "tracking", check=True).stdout.strip().split(",")
        if leap == "Not synchronised":
            yield "chrony has no source that it trusts"
            return
    elif active("systemd-timesyncd"):
        found = re.search(r"^ *Offset: (.*)", run("timedatectl", "timesync-status").stdout, re.MULTILINE)
        if not found:
            yield "systemd-timesyncd has not heard from a server"
            return
        # As in -1min 2.5s.
        parts = re.findall(r"([0-9.]+)([a-z]+)", found[1])
        offset = sum(float(number) * TIME_UNITS.get(unit, 86400) for number, unit in parts)
    if abs(float(offset)) > float(limit):
        yield f"the clock is off by {abs(float(offset)):g} s"


def certificates(days, *paths):
    """Yield the certificates that expire within so many days."""
    for path in paths:
        done = run("openssl", "x509", "-noout", "-enddate", "-checkend", str(int(days) * 86400), "-in", path)
        end = re.search("^notAfter=(.*)", done.stdout, re.MULTILINE)
        if not end:
            yield f"{path} cannot be read, or is no certificate"
        elif done.returncode:
            yield f"{path} expires on {end[1]}"


CHECKS = {check.__name__: check for check in (filesystems, failed, clock, certificates)}
COMMANDS = {command.__name__: command for command in (cycle, start, restart, pause, check, mend)}


def main(command="", *arguments):
    """Do what is asked for, and return the exit code."""
    if command in COMMANDS:
        return COMMANDS[command](*arguments)
    if command in CHECKS:
        problems = sorted(CHECKS[command](*arguments))
        print("\n".join(problems) or "all is well")
        return min(len(problems), 100)
    print(__doc__, file=sys.stderr)
    return UNKNOWN


if __name__ == "__main__":
    os.umask(0o022)
    os.environ["LC_ALL"] = "C"
    syslog.openlog("monit-watch")
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"monit-watch: {error}")
        sys.exit(UNKNOWN)
