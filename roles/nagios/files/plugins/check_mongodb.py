#!/usr/bin/python3 -S
"""Ask one MongoDB, without a login, whether it can be read: whether it is a primary or a secondary."""

import argparse
import socket
import struct
import time

from plugin import CRITICAL, Report, add_thresholds, grade, main


def hello():
    """Return the command hello as a message of the wire protocol (OP_MSG)."""
    text = b"admin\0"
    body = b"\x10hello\0" + struct.pack("<i", 1) + b"\x02$db\0" + struct.pack("<i", len(text)) + text
    document = struct.pack("<i", len(body) + 5) + body + b"\0"
    message = struct.pack("<iiiI", 1, 0, 2013, 0) + b"\0" + document
    return struct.pack("<i", len(message) + 4) + message


def answer_of(address, port, timeout):
    """Return the bytes that the server answers with."""
    with socket.create_connection((address, port), timeout=timeout) as connection:
        connection.sendall(hello())
        answer = b""
        while len(answer) < 4 or len(answer) < struct.unpack("<i", answer[:4])[0]:
            part = connection.recv(65536)
            if not part:
                raise ConnectionError("closed the connection")
            answer += part
    return answer


def role_in(answer):
    """Return what the server says that it is. Its answer is a document, of which two booleans matter."""
    for name, role in ((b"\x08isWritablePrimary\0\x01", "primary"), (b"\x08secondary\0\x01", "secondary")):
        if name in answer:
            return role
    return None


def check(options):
    """Look at the server."""
    report = Report()
    started = time.monotonic()
    try:
        role = role_in(answer_of(options.address, options.port, options.timeout))
    except OSError as error:
        report.say(CRITICAL, str(error) or type(error).__name__)
        return report
    seconds = time.monotonic() - started
    report.say(
        grade(seconds, options.warning, options.critical) if role else CRITICAL, role or "neither primary nor secondary"
    )
    report.figure("time", f"{seconds:.3f}", "s", options.warning, options.critical)
    return report


def parser():
    """Return the parser of the options."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--address", required=True)
    options.add_argument("--port", type=int, default=27017)
    options.add_argument("--timeout", type=float, default=8, metavar="SECONDS")
    add_thresholds(options, "seconds that the answer takes", 3, 6)
    return options


if __name__ == "__main__":
    main(parser(), check)
