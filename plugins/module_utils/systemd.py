"""What modules that run daemons ask of systemd, and of the daemons' own logs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

LOG_LINES = 15
LOG_BYTES = 64 * 1024
"""How much of a log's end is looked at for its last lines."""


def systemctl(*arguments):
    """Run systemctl; return its exit code and its output, errors included."""
    done = subprocess.run(
        ["/usr/bin/systemctl", *arguments],
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout.strip()


def tail(path, readable=str):
    """Return the last lines of a log file, each as the function makes it readable, or why the file can't be read."""
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
            return "\n".join(map(readable, file.read().decode(errors="replace").splitlines()[-LOG_LINES:]))
    except OSError as error:
        return str(error)
