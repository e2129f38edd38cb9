"""What tests look at the twin with: patience, the Docker client, the hosts' journals, and the mails of its server."""

import json
import subprocess
import time
from base64 import b64encode
from urllib.parse import quote, quote_plus

import requests


def docker(*arguments):
    """Run the docker client and return its output."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.strip()


def eventually(condition, seconds=60, what="the condition holds"):
    """Wait until the condition holds, and return what it came to."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return found


def seconds_until(condition, seconds, what):
    """Wait until the condition holds, and return how long that took."""
    started = time.monotonic()
    eventually(condition, seconds, what)
    return time.monotonic() - started


def representations(secret):
    """Return the forms in which a program may tell a secret: as it is, and as Python, JSON, a URL or base64 has it."""
    data = secret.encode()
    # At the three positions that it can have in a longer text, such as user:password. Its ends depend on the rest.
    encoded = [b64encode(b" " * shift + data)[4 * bool(shift) : -4].decode() for shift in range(3)]
    return {
        secret,
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        *(text for text in encoded if len(text) >= 8),
    }


def told(secrets, output):
    """Return how many of the secrets the output (bytes) tells, in whatever form."""
    return sum(any(form.encode() in output for form in representations(secret)) for secret in secrets)


def journal(host):
    """Return all that the journal of a host says."""
    said = host.run("journalctl --all --output cat").stdout_bytes
    assert said
    return said


class Mails:
    """The mails that the twin's mail server got since a moment: see twin/mail.py."""

    def __init__(self, address, since):
        self.address = address
        self.since = since

    def after(self, moment):
        """Return a view of the later mails only."""
        return Mails(self.address, moment)

    def all(self, *words, sender=""):
        """Return those from ``sender`` in whose subject all words are."""
        return [
            mail
            for mail in requests.get(f"{self.address}/mails", timeout=10).json()
            if mail["received"] >= self.since
            and sender in mail["from"]
            and all(word in mail["subject"].replace(":", " ").replace("/", " ").split() for word in words)
        ]

    def subjects(self):
        """Return what they are about."""
        return [mail["subject"] for mail in self.all()]

    def wait(self, *words, sender="", seconds=150):
        """Wait for such a mail, and return it and the seconds that it took."""
        what = f"a mail of {sender} about {' '.join(words)}"
        mail = eventually(lambda: self.all(*words, sender=sender), seconds, what)[0]
        return mail, mail["received"] - self.since

    def refuse(self, seconds):
        """Have the mail server refuse all mail for a while."""
        requests.post(f"{self.address}/refuse/{seconds}", timeout=10)
