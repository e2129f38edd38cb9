"""An application server for the balancer's tests, on one loopback address.

It counts what it gets, and does as the files in its folder say: ``unready``, ``dying`` (close without an answer).
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ADDRESS = sys.argv[1]
STATE = Path("/run/backend") / ADDRESS


class Handler(BaseHTTPRequestHandler):
    """Answer every request with what it looked like."""

    protocol_version = "HTTP/1.1"
    server_version = "Secret/1.2.3"

    def answer(self, status, text):
        """Send an answer with the text as its body."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_request(self):
        """Do what the path asks for."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/readyz"):
            unready = (STATE / "unready").exists() or self.headers["Host"] != "localhost"
            self.answer(503 if unready else 200, "")
            return
        with (STATE / "requests").open("a") as requests:
            requests.write(f"{self.command} {self.path}\n")
        if self.path.startswith("/slow"):
            time.sleep(10)
        if (STATE / "dying").exists():
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.answer(200, json.dumps({"path": self.path, "headers": headers}))

    do_GET = do_POST = handle_request

    def log_message(self, *_):
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """A server that takes bursts of connections."""

    request_queue_size = 256


STATE.mkdir(parents=True, exist_ok=True)
Server((ADDRESS, 8080), Handler).serve_forever()
