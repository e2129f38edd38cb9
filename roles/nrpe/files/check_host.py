#!/usr/bin/python3 -IS
"""Look at this host, as a plugin of Nagios: exit codes 0 to 3, and figures.

check clock --warning SECONDS --critical SECONDS     How wrong the clock may be, as the kernel counts it.
check failed_units [UNIT...]                         The units that failed, but for the named ones.
check mail_queue --warning N --critical N --warning-age MINUTES --critical-age MINUTES
                                                     The mails that Postfix could not deliver yet.
check reboot_required                                Whether an upgrade waits for a reboot.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path

OK, WARNING, CRITICAL, UNKNOWN = range(4)
STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")

STA_UNSYNC = 0x40
REBOOT = Path("/run/reboot-required")


class Unknown(Exception):
    """The check can't tell, for this reason."""


def grade(value, warning, critical):
    """Return the state of a value of which more is worse."""
    return CRITICAL if value >= critical else WARNING if value >= warning else OK


def output_of(*command):
    """Return what a command prints, or fail with what it says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unknown(str(error)) from error
    if done.returncode:
        raise Unknown(f"{command[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def kernel_clock():
    """Return whether the clock is synchronised, and how wrong it may be, in seconds."""
    # struct timex: modes, offset, freq, maxerror, esterror, status, of which modes and status are ints.
    timex = (ctypes.c_long * 64)()
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        raise Unknown(os.strerror(ctypes.get_errno()))
    return not timex[5] & STA_UNSYNC, timex[3] / 1e6


def in_a_container():
    """Whether the clock is another host's."""
    return subprocess.run(["/usr/bin/systemd-detect-virt", "--quiet", "--container"], check=False).returncode == 0


def clock(options):
    """How wrong the clock may be."""
    synchronised, error = kernel_clock()
    figures = f"error={error:.3f}s;{options.warning:g};{options.critical:g};0"
    if in_a_container():
        return OK, "the clock is that of the container's host", figures
    if not synchronised:
        return CRITICAL, "the clock is not synchronised", figures
    return grade(error, options.warning, options.critical), f"the clock is right within {error:.3f} s", figures


def failed_units(options):
    """The units that failed."""
    lines = output_of(
        "/usr/bin/systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"
    ).splitlines()
    ignored = {unit if "." in unit else f"{unit}.service" for unit in options.units}
    failed = sorted({line.split()[0] for line in lines if line.strip()} - ignored)
    said = f"failed: {' '.join(failed)}" if failed else "no unit failed"
    return CRITICAL if failed else OK, said, f"failed={len(failed)};;1;0"


def mail_queue(options):
    """The mails that Postfix could not deliver yet."""
    mails = [json.loads(line) for line in output_of("/usr/sbin/postqueue", "-j").splitlines() if line.strip()]
    oldest = min((mail["arrival_time"] for mail in mails), default=time.time())
    minutes = max(0, int(time.time() - oldest) // 60)
    state = max(
        grade(len(mails), options.warning, options.critical),
        grade(minutes, options.warning_age, options.critical_age),
    )
    said = f"{len(mails)} mails wait, the oldest for {minutes} minutes"
    # Why the latest of them was not delivered.
    reasons = [
        recipient["delay_reason"] for mail in mails for recipient in mail["recipients"] if "delay_reason" in recipient
    ]
    said += f": {reasons[-1]}" if reasons else ""
    figures = f"mails={len(mails)};{options.warning:g};{options.critical:g};0"
    return state, said, f"{figures} age={minutes * 60}s;{options.warning_age * 60:g};{options.critical_age * 60:g};0"


def reboot_required(options):
    """Whether an upgrade waits for a reboot."""
    try:
        days = (time.time() - REBOOT.stat().st_mtime) / 86400
    except FileNotFoundError:
        return OK, "no reboot is required", "days=0;;;0"
    try:
        packages = " ".join(sorted(set(REBOOT.with_suffix(".pkgs").read_text().split())))
    except OSError:
        packages = "an upgrade"
    return WARNING, f"{packages} waits for a reboot since {days:.1f} days", f"days={days:.1f};;;0"


def parse(arguments):
    """Return the check and its options. Bad usage ends with UNKNOWN."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    checks = parser.add_subparsers(dest="check", required=True)
    for check in (clock, failed_units, mail_queue, reboot_required):
        one = checks.add_parser(check.__name__, description=check.__doc__)
        one.set_defaults(run=check)
        if check in (clock, mail_queue):
            one.add_argument("--warning", type=float, required=True)
            one.add_argument("--critical", type=float, required=True)
        if check is mail_queue:
            one.add_argument("--warning-age", type=float, required=True, metavar="MINUTES")
            one.add_argument("--critical-age", type=float, required=True, metavar="MINUTES")
        if check is failed_units:
            one.add_argument("units", nargs="*", help="units that have a check of their own")
    try:
        return parser.parse_args(arguments)
    except SystemExit as done:
        raise SystemExit(UNKNOWN if done.code else OK) from None


def main(arguments=None):
    """Run the check, and say what came of it."""
    options = parse(arguments)
    try:
        state, said, figures = options.run(options)
    except Unknown as error:
        state, said, figures = UNKNOWN, str(error), ""
    print(f"{options.check.upper()} {STATES[state]} - {said}" + (f" | {figures}" if figures else ""))
    return state


if __name__ == "__main__":
    sys.exit(main())
