#!/usr/bin/python3 -IS
"""Take one heartbeat, as a CGI program: POST /heartbeat/NAME touches a file.

lighttpd lets the known names through only.
"""

import os
from pathlib import Path

FOLDER = Path("/var/lib/nagios-web/heartbeats")


def main():
    """Touch the file that the path names."""
    if os.environ["REQUEST_METHOD"] != "POST":
        print("Status: 405 Method Not Allowed\nAllow: POST\nContent-Type: text/plain\n\nPOST only")
        return
    (FOLDER / Path(os.environ["REQUEST_URI"].partition("?")[0]).name).touch()
    print("Status: 204 No Content\n")


if __name__ == "__main__":
    main()
