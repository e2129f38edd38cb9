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
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        """Return the body of the request."""
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def handle_request(self):
        """Do what the path asks for."""
        body = self.body().decode("latin-1")
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
        headers = {name.lower(): ", ".join(self.headers.get_all(name)) for name in self.headers}
        target = self.requestline.split(" ")[1]
        self.answer(200, json.dumps({"method": self.command, "target": target, "headers": headers, "body": body}))

    do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = do_PROPFIND = handle_request

    def log_message(self, *_):
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """A server that takes bursts of connections."""

    request_queue_size = 256


STATE.mkdir(parents=True, exist_ok=True)
Server((ADDRESS, 8080), Handler).serve_forever()
