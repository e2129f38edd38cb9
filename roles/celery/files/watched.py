"""Run a worker or beat of Celery and tell systemd that it is at work: watched.py --app APP worker|beat OPTION...

The unit has Type=notify and WatchdogSec, so that systemd restarts one that hangs.
"""

import os
import socket
import sys
import threading
import time
from pathlib import Path

from celery import bootsteps, signals
from celery.__main__ import main

# As 'python -m celery' has it.
sys.path[0] = str(Path.cwd())

MICROSECONDS = int(os.environ["WATCHDOG_USEC"])
PAUSE = MICROSECONDS / 4_000_000
PATIENCE = 3_600_000_000
"""For a worker that has no broker or that stops, also in microseconds: it is not in its loop then."""


def tell(*words):
    """Send words to systemd."""
    address = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.sendto("\n".join(words).encode(), address)


class Watchdog(bootsteps.StartStopStep):
    """Speaks from the loop in which a worker takes tasks, once it takes them."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    timer = None

    def start(self, consumer):
        """The broker is there, and the loop begins."""
        tell("READY=1", "WATCHDOG=1", f"WATCHDOG_USEC={MICROSECONDS}")
        self.timer = consumer.timer.call_repeatedly(PAUSE, tell, ("WATCHDOG=1",))

    def stop(self, _):
        """The broker is gone, or the worker stops."""
        if self.timer:
            self.timer.cancel()
        tell(f"WATCHDOG_USEC={PATIENCE}")


@signals.celeryd_init.connect
def watch_worker(instance, **_):
    """Have the worker's loop speak."""
    instance.app.steps["consumer"].add(Watchdog)


@signals.worker_shutting_down.connect
def be_patient(**_):
    """Let the running tasks finish."""
    tell(f"WATCHDOG_USEC={PATIENCE}")


def speak():
    """Speak as long as this process is not frozen."""
    while True:
        tell("WATCHDOG=1")
        time.sleep(PAUSE)


@signals.beat_init.connect
def watch_beat(**_):
    """Have a thread speak: a beat that stands by waits for a lock, and has no loop yet."""
    tell("READY=1")
    threading.Thread(target=speak, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
