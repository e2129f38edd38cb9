"""A FastCGI client, just large enough to ask the application what lighttpd would."""

import socket
import struct
from email import message_from_bytes

HEADER = struct.Struct(">BBHHBx")  # version, type, request, length, padding
BEGIN, PARAMS, STDIN, STDOUT = 1, 4, 5, 6


def get(address, path, host="testserver"):
    """GET `path` from the FastCGI server at the Unix socket `address`: its status, headers and body."""
    path, _, query = path.partition("?")
    params = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": host,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": host,
    }
    pairs = b"".join(_long(name) + _long(value) + f"{name}{value}".encode() for name, value in params.items())
    request = [(BEGIN, struct.pack(">HB5x", 1, 0)), (PARAMS, pairs), (PARAMS, b""), (STDIN, b"")]
    output = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(address)
        connection.sendall(b"".join(HEADER.pack(1, kind, 1, len(body), 0) + body for kind, body in request))
        with connection.makefile("rb") as answer:
            while header := answer.read(HEADER.size):
                _, kind, _, length, padding = HEADER.unpack(header)
                content = answer.read(length + padding)[:length]
                if kind == STDOUT:
                    output += content
    head, _, body = output.partition(b"\r\n\r\n")
    headers = message_from_bytes(head)
    return int(headers["Status"].split()[0]), headers, body.decode()


def _long(text):
    return struct.pack(">L", len(text.encode()) | 0x80000000)
