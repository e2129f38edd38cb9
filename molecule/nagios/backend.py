"""What the tests have watched: pages on port 8080, a Memcached's answer on 11211, an SSH server's on 8022."""

import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Pages(BaseHTTPRequestHandler):
    """A page, a door that is closed, and metrics that tell the headers of the request."""

    def do_GET(self):
        """Answer by the path."""
        status, text = {
            "/page": (200, "Uno; and $more"),
            "/door": (401, "closed"),
            "/metrics": (200, f"up 1\n# {self.headers['Authorization']}\n"),
        }.get(self.path, (404, "nothing here"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """Keep quiet."""


class Cache(socketserver.StreamRequestHandler):
    """Tell the version, as Memcached does."""

    def handle(self):
        """Answer each line."""
        for line in self.rfile:
            if line.strip() == b"quit":
                return
            self.wfile.write(b"VERSION 1.6\r\n" if line.strip() == b"version" else b"ERROR\r\n")


class Shell(socketserver.StreamRequestHandler):
    """Speak first, as SSH does."""

    def handle(self):
        """Say who this is, and read what the client says."""
        self.wfile.write(b"SSH-2.0-Test\r\n")
        self.rfile.readline()


socketserver.TCPServer.allow_reuse_address = True
servers = [
    ThreadingHTTPServer(("", 8080), Pages),
    socketserver.ThreadingTCPServer(("", 11211), Cache),
    socketserver.ThreadingTCPServer(("", 8022), Shell),
]
for server in servers:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever).start()
