"""HTTP requests byte for byte, and a table of those that every proxy of the stack must pass on as they were sent."""

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """A request of a client, each byte of its texts a character of Latin-1."""

    target: str = "/"
    method: str = "GET"
    headers: dict = field(default_factory=dict)
    body: str = ""
    framing: dict = field(default_factory=dict)

    def __str__(self):
        return " ".join([self.method, self.target[:40], *self.headers, *self.framing, *["body"] * bool(self.body)])

    def __bytes__(self):
        headers = {"Host": "games.example", "Connection": "close"} | self.headers | self.framing
        body = self.body
        if "Transfer-Encoding" in self.framing:
            body = "".join(f"1\r\n{character}\r\n" for character in body) + "0\r\n\r\n"
        elif body:
            headers["Content-Length"] = len(body)
        head = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*head, "", body]).encode("latin-1")


AS_SENT = [
    Request("/games/?age=6&next=/x?y=1"),
    Request("/?a=%0A&b=%00&c=%7f&d=%1B"),
    Request("/?q=%e9%FF%C0&r=%c3%a9&s=%3d%26%2b+%7e~%20"),
    Request('/?a[]=1&b={x}|^`"<>\\&c=100%&d=%zz&e=/../x//y'),
    Request("/?"),
    Request("//go//http://x/"),
    Request("/a/../b/./c"),
    Request("/a%2fb%2F..%2fc%3Fd%25?e"),
    Request("/%e9/%C3%A9/100%/a\\b"),
    Request("/a%0Ab%00c"),
    Request("/?" + "q" * 7000),
    Request(headers={"X-Words": 'caf\xc3\xa9 \xff\t"x"  y, ;', "Host": "games.example:8000"}),
    Request("/buy", "HEAD"),
    Request("/buy", "OPTIONS"),
    Request("/buy", "DELETE"),
    Request("/buy", "PUT"),
    Request("/buy", "PATCH", body="a\0\xff"),
    Request("/buy", "PROPFIND", {"Depth": "1"}, body="a\0\xff"),
    Request("/buy", "GET", body="a\0\xff"),
    Request("/buy", "POST", body="a\0\xff"),
    Request("/buy", "POST", framing={"Content-Length": 0}),
    Request("/buy", "POST", framing={"Expect": "100-continue"}, body="a\0\xff"),
    Request("/buy", "POST", framing={"Transfer-Encoding": "chunked"}, body="a\0\xff"),
]

NOT_HTTP = {
    "a control character": b"GET /a\0b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    "a space before a colon": b"GET / HTTP/1.1\r\nHost: a\r\nX-A : a\r\nConnection: close\r\n\r\n",
}
"""What two servers may understand in two ways; a proxy refuses it."""


def exchange(host, requests):
    """Send requests to port 80 from inside the host; return the status, the headers and the body of each answer."""
    program = (
        "import json, socket\n"
        f"for request in {[bytes(request) for request in requests]!r}:\n"
        "    connection = socket.create_connection(('127.0.0.1', 80), timeout=30)\n"
        "    connection.sendall(request)\n"
        "    print(json.dumps(connection.makefile('rb').read().decode('latin-1')))\n"
    )
    return [parse(json.loads(line)) for line in host.check_output("python3 -c %s", program).splitlines()]


def parse(answer):
    """Return the status, the headers and the body of an answer."""
    head, _, body = answer.removeprefix("HTTP/1.1 100 Continue\r\n\r\n").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    return int(first.split()[1]), {n.lower(): v for n, v in (line.split(": ", 1) for line in lines)}, body
