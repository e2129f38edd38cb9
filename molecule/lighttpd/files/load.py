"""Run a command a few times under a stream of requests, each on its own connection, and print the outcomes as JSON."""

import collections
import http.client
import json
import subprocess
import sys
import threading
import time


def ask(path):
    """Return the status of one request, or the name of the error."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return str(response.status)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def stream(path):
    """Ask until it is over."""
    while not over.is_set():
        outcomes.append(ask(path))


outcomes = []
over = threading.Event()
streams = [threading.Thread(target=stream, args=(path,)) for path in ("/", "/", "/page", "/static/plain.css")]
for thread in streams:
    thread.start()
try:
    for _ in range(3):
        time.sleep(0.5)
        subprocess.run(sys.argv[1:], check=True)
    time.sleep(0.5)
finally:
    over.set()
for thread in streams:
    thread.join()
print(json.dumps(collections.Counter(outcomes)))
