"""Talk to the site through its socket, as a web server does: client.py get PATH, or client.py stream STOP_FILE."""

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, "/usr/local/lib/tiny")
from check_fastcgi import get

SOCKET = "/run/tiny/tiny.socket"


def stream(stop):
    """Ask from several threads until the file exists; count the answers."""
    answers = Counter()

    def ask():
        while not stop.exists():
            try:
                status, body = get(SOCKET, "localhost", "/readyz", timeout=60)
            except Exception as error:
                status, body = repr(error), ""
            answers[f"{status} {body}"] += 1
            time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


action, argument = sys.argv[1:]
if action == "get":
    print(json.dumps(get(SOCKET, "localhost", argument, timeout=60)))
else:
    print(json.dumps(stream(Path(argument))))
