"""Ask a FastCGI application whether it is well: check_fastcgi.py SOCKET HOST PATH SECONDS."""

import socket
import struct
import sys
import time

BEGIN_REQUEST, PARAMS, STDIN, STDOUT = 1, 4, 5, 6
HEADER = struct.Struct("!BBHHBx")


def record(kind, content=b""):
    """Return a record of request number 1."""
    return HEADER.pack(1, kind, 1, len(content), 0) + content


def pair(name, value):
    """Return a parameter; its lengths take four bytes each."""
    name, value = name.encode(), value.encode()
    return struct.pack("!LL", len(name) | 1 << 31, len(value) | 1 << 31) + name + value


def get(address, host, path, timeout):
    """Return the status and the body that a GET request is answered with."""
    params = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path.partition("?")[0],
        "QUERY_STRING": path.partition("?")[2],
        "REQUEST_URI": path,
        "SERVER_NAME": host,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": host,
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTPS": "on",
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(address)
        begin = record(BEGIN_REQUEST, struct.pack("!HB5x", 1, 0))
        pairs = b"".join(pair(*item) for item in params.items())
        connection.sendall(begin + record(PARAMS, pairs) + record(PARAMS) + record(STDIN))
        answer, output = connection.makefile("rb"), b""
        while header := answer.read(HEADER.size):
            _, kind, _, length, padding = HEADER.unpack(header)
            content = answer.read(length + padding)[:length]
            output += content if kind == STDOUT else b""
    head, _, body = output.partition(b"\r\n\r\n")
    status = next((line[7:].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"status:")), b"nothing")
    return status.decode(), body.decode(errors="replace")


def main():
    """Exit with an error unless the answer is 2xx or 3xx within the time."""
    address, host, path, seconds = sys.argv[1:]
    until = time.monotonic() + int(seconds)
    while True:
        body = ""
        try:
            status, body = get(address, host, path, timeout=int(seconds))
        except (OSError, struct.error) as error:
            status = f"with an error: {error}"
        if status[0] in "23":
            return
        if time.monotonic() > until:
            sys.exit(f"{body[:500]}\n{path} of {host} answers {status}.")
        time.sleep(1)


if __name__ == "__main__":
    main()
