"""What the plugins of this folder share: states, the way to report, thresholds, and logins."""

import argparse
import json
import sys
from pathlib import Path

OK, WARNING, CRITICAL, UNKNOWN = range(4)
STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
CREDENTIALS = "/etc/nagios4/credentials.json"


class Unknown(Exception):
    """The plugin can't tell, for this reason."""


class Report:
    """What a plugin found: the worst state, the words for it, and the figures."""

    def __init__(self):
        self.state = OK
        self.words = []
        self.figures = []

    def say(self, state, words):
        """Add a finding. Of several, the worst comes first."""
        self.words.insert(0 if state > self.state else len(self.words), words)
        self.state = max(self.state, state)

    def figure(self, name, value, unit="", warning="", critical=""):
        """Add a figure, with the thresholds that apply to it."""
        self.figures.append(f"'{name}'={value}{unit};{warning};{critical};0")

    def __str__(self):
        figures = f" | {' '.join(self.figures)}" if self.figures else ""
        return f"{STATES[self.state]} - {', '.join(self.words)}{figures}"


def grade(value, warning, critical):
    """Return the state of a value of which more is worse."""
    return CRITICAL if value >= critical else WARNING if value >= warning else OK


def endpoints(text):
    """Turn 'host:port,host:port' into pairs."""
    pairs = [one.rpartition(":") for one in text.split(",")]
    if not all(host and port.isdigit() for host, _, port in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port,host:port")
    return [(host.strip("[]"), int(port)) for host, _, port in pairs]


def login(credentials, name):
    """Return the user and the password under that name in the file of the logins."""
    try:
        entry = json.loads(Path(credentials).read_text())[name]
        return entry["user"], entry["password"]
    except (OSError, ValueError, KeyError) as error:
        raise Unknown(f"no login {name} in {credentials} ({type(error).__name__})") from error


def add_login(parser, name):
    """Give the parser the options by which ``login`` finds one."""
    parser.add_argument("--login", default=name, help="name of the login among nagios_credentials (%(default)s)")
    parser.add_argument("--credentials", default=CREDENTIALS, help="the file that holds them (%(default)s)")


def add_thresholds(parser, what, warning, critical):
    """Give the parser --warning and --critical."""
    parser.add_argument("--warning", type=float, default=warning, metavar="N", help=f"{what} (%(default)s)")
    parser.add_argument("--critical", type=float, default=critical, metavar="N", help=f"{what} (%(default)s)")


def run(parser, check, arguments=None):
    """Parse the options, run the check, print what it reports, and return the exit code."""
    try:
        options = parser.parse_args(arguments)
    except SystemExit as done:
        return UNKNOWN if done.code else OK
    if "warning" in options and options.warning > options.critical:
        print("UNKNOWN - --warning is above --critical")
        return UNKNOWN
    try:
        report = check(options)
    except Unknown as error:
        print(f"UNKNOWN - {error}")
        return UNKNOWN
    print(report)
    return report.state


def main(parser, check):
    """End the process with what the check found."""
    sys.exit(run(parser, check))
