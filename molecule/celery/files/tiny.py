"""A small Celery application. Each task puts its mark into the broker's Redis, where the tests count them."""

import os
import socket
import time
from pathlib import Path

import redis
from celery import Celery

BROKER = os.environ["BROKER_URL"]

app = Celery("tiny", broker=BROKER)
app.conf.update(
    task_ignore_result=True,
    task_routes={"tiny.long_*": {"queue": "long"}},
    beat_schedule={"tick": {"task": "tiny.mark", "schedule": 2, "args": ["ticks"]}},
    beat_max_loop_interval=1,
    redbeat_lock_timeout=6,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        # Longer than a task may take; then look for the tasks of lost workers each second.
        "visibility_timeout": int(os.environ.get("VISIBILITY_SECONDS", "12")),
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
)


@app.task(name="tiny.mark")
def mark(key):
    """Put down when and where the task ran, and the release that ran it."""
    release = Path("/srv/tiny/release").read_text().strip()
    redis.Redis.from_url(BROKER).rpush(key, f"{time.time()} {socket.gethostname()} {release}")


@app.task(name="tiny.slow")
def slow(key, seconds):
    """Take some time, and put down the beginning and the end."""
    mark(f"{key}-begun")
    time.sleep(seconds)
    mark(f"{key}-done")


@app.task(name="tiny.long_one")
def long_one(key, seconds):
    """As above, in the queue of the long ones."""
    slow(key, seconds)
