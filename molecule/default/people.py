"""Those who use the site in the tests: visitors who read, and programs that run on its hosts."""

import json
import re
import subprocess
import threading
import time

import requests

FIGURES = []
"""What was measured, a sentence each, for the end of the test run."""


class Site:
    """The site as a browser on this machine meets it, at a port of 127.0.0.1."""

    def __init__(self, address, domain):
        self.address = address
        self.domain = domain

    def get(self, path, host=None):
        """Get a page of the site, and return the response whatever its status."""
        headers = {"Host": host or self.domain}
        return requests.get(self.address + path, headers=headers, timeout=30, allow_redirects=False)

    def found(self, query):
        """Return how many games the search finds, or nothing while it is away."""
        answer = self.get(f"/search/?q={query}")
        count = re.search(r'class="count">([\d,]+) game', answer.text)
        return int(count[1].replace(",", "")) if answer.status_code == 200 and count else None

    def submit(self, path, form, files=None):
        """Fill in the form of a page and send it, as a browser does, and return the response whatever its status."""
        with requests.Session() as browser:
            browser.headers["Host"] = self.domain
            page = browser.get(self.address + path, timeout=30).text
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
            data = form | {"csrfmiddlewaretoken": token}
            return browser.post(self.address + path, data, files=files, timeout=30, allow_redirects=False)


class Visitors:
    """A few visitors who read pages without a pause, for a bounded time: ``with Visitors(site, paths) as visitors``."""

    COUNT = 4
    SECONDS = 120

    def __init__(self, site, paths):
        self.site = site
        self.paths = paths
        self.waits = []
        self.failures = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.read, args=(paths[n :: self.COUNT],)) for n in range(self.COUNT)]

    def read(self, paths):
        """Read the paths in turn, for SECONDS at the most."""
        until = time.monotonic() + self.SECONDS
        while time.monotonic() < until:
            for path in paths:
                if self.stop.is_set():
                    return
                started = time.monotonic()
                try:
                    status = self.site.get(path).status_code
                except requests.RequestException as error:
                    status = type(error).__name__
                self.waits.append(time.monotonic() - started)
                if status != 200:
                    self.failures.append((path, status))

    def read_more(self, count, seconds=60):
        """Wait until ``count`` more pages were read."""
        wanted = len(self.waits) + count
        until = time.monotonic() + seconds
        while len(self.waits) < wanted:
            assert time.monotonic() < until, f"fewer than {count} pages in {seconds} s"
            time.sleep(0.05)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def report(self, title):
        """Put down how the visitors fared."""
        requests_, failed, longest = len(self.waits), len(self.failures), max(self.waits)
        FIGURES.append(f"{title}: {requests_} requests, {failed} failed, longest wait {longest:.2f} s")


def run_python(container, program, **arguments):
    """Run a Python program in a container. Its standard input, ``arguments``, and its output are JSON."""
    done = subprocess.run(
        ["docker", "exec", "--interactive", container, "python3", "-c", program],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
