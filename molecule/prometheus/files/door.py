"""The site's door and the sentinel's: a page, the metrics of hosts, and where heartbeats go, over HTTPS."""

import base64
import json
import ssl
import sys
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STATE = Path("/run/door")
PAGES = {"/": (200, "Welcome to the games."), "/login": (302, "Log in first.")}
HOSTS = ["/metrics/door1", "/metrics/web2"]


def told(name, otherwise):
    """Return what a test put into a file, as JSON."""
    path = STATE / name
    return json.loads(path.read_text()) if path.exists() else otherwise


class Door(BaseHTTPRequestHandler):
    def answer(self, status, text=""):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_reporter(self):
        login = f"outside:{told('password', sys.argv[2])}"
        return self.headers["Authorization"] == f"Basic {base64.b64encode(login.encode()).decode()}"

    def do_GET(self):
        if self.path in PAGES and self.headers["Host"] == "games.example":
            self.answer(*told("page", PAGES[self.path]))
        elif not self.is_reporter():
            self.answer(401)
        elif self.path in told("down", []):
            self.answer(502)
        elif self.path in HOSTS:
            exporter = HTTPConnection("127.0.0.1", 9100, timeout=5)
            exporter.request("GET", "/metrics")
            self.answer(200, exporter.getresponse().read().decode())
        else:
            self.answer(200, "mongodb_up 1\n")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.is_reporter() and self.path == "/heartbeat/outside1":
            with (STATE / "heartbeats").open("a") as heartbeats:
                heartbeats.write(f"{time.time()}\n")
            self.answer(204)
        else:
            self.answer(401)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Door)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/door.pem")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
