"""Send GET after GET to the balancer, each on a connection of its own, until told to stop; print how it went."""

import json
import signal
import threading
import time
import urllib.request

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
answered = []
failed = []


def send():
    """Be one client."""
    while not stop.is_set():
        try:
            with urllib.request.urlopen("http://127.0.0.1/load", timeout=10) as answer:
                answer.read()
                answered.append(answer.headers["X-Served-By"])
        except OSError as error:
            failed.append(str(error))
        time.sleep(0.01)


clients = [threading.Thread(target=send) for _ in range(4)]
for client in clients:
    client.start()
for client in clients:
    client.join()
print(json.dumps({"answered": len(answered), "failed": failed[:10]}))
