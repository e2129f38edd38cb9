"""What tests look at the twin with: patience, the Docker client, and the mails that its mail server got."""

import subprocess
import time

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


class Mails:
    """The mails that the twin's mail server got since a moment: see playbooks/twin/mail.py."""

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
