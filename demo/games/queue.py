"""The queue of tasks: Celery's, on Redis."""

import logging
from functools import cache

from celery import current_app
from django.conf import settings
from kombu import pools

logger = logging.getLogger(__name__)

# Once more, at once: the connection that was kept may be one to a primary that died since.
RETRY = {"max_retries": 1, "interval_start": 0, "interval_max": 0}

# Redis looks at the time every tenth of a second only, and the connection has a timeout of its own.
REPLICA_MILLISECONDS = 150


def send(task, *args):
    """Give `task` to the workers. False, and a line in the log, if that can't be done within two seconds."""
    if not settings.BROKER_URL:
        return False
    try:
        with pools.producers[connection()].acquire(block=True, timeout=1) as producer:
            task.apply_async(args, producer=producer, retry_policy=RETRY)
            replicated(producer.channel)
    except Exception as error:  # Whatever it is, the visitor's request goes on.
        logger.error("%s%r is not sent: %.200s", task.name, args, error)
        return False
    return True


def replicated(channel):
    """Return once a replica, if there is any to have, has what was sent too: with the primary alone it may die."""
    if not settings.BROKER_REPLICAS:
        return
    # The pool gives the connection that sent the task, and WAIT is about what its own connection sent.
    with channel.conn_or_acquire() as client:
        if client.wait(settings.BROKER_REPLICAS, REPLICA_MILLISECONDS) < settings.BROKER_REPLICAS:
            raise TimeoutError("no replica has it yet")


def ping():
    """Raise an exception unless the broker answers within a second and a half."""
    with current_app.connection_for_write(transport_options=settings.BROKER_TIMEOUTS | {"max_retries": 0}) as fresh:
        fresh.default_channel.client.ping()


@cache
def connection():
    """A connection for those who can't wait: its timeouts are shorter than a worker's. It opens on first use."""
    return current_app.connection_for_write(transport_options=settings.BROKER_TIMEOUTS)
