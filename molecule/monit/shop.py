"""A small shop over HTTP, with or without TLS, that asks for the right host name, and may take its time to start."""

import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Shop(BaseHTTPRequestHandler):
    """It has one page, and one that nobody may see."""

    def do_GET(self):
        """Answer."""
        status = {"/healthz": 200, "/": 401}.get(self.path, 404) if self.headers["Host"] == "games.example" else 400
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"all is well (and good) here")

    def log_message(self, *arguments):
        """Say nothing."""


slow = Path("/run/shop-is-slow")
time.sleep(float(slow.read_text()) if slow.exists() and len(sys.argv) == 3 else 0)
server = ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Shop)
if len(sys.argv) > 3:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
