"""The Celery application: `celery -A familygames worker` and `... beat`. Importing it connects to nothing."""

import logging
import os
from time import sleep

from celery import Celery
from django.conf import settings
from kombu.transport import redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

NOTE_TRIES = 50
NOTE_PAUSE = 0.5


class PatientQoS(redis.QoS):
    """Kombu's list of the tasks that a worker has taken and not finished; this one bears the loss of Redis's primary.

    A worker takes a task off the queue and then notes it in this list, in two steps. If the primary dies in between,
    nobody but the worker knows the task. Kombu gives up at the first error, and the task is lost. Here the worker
    tries on for 25 seconds at least, until Sentinel has made another primary.

    What the dead primary accepted in its last moment, before a replica had it, is not lost either: see games.queue.
    """

    def append(self, message, delivery_tag):
        for _ in range(NOTE_TRIES):
            try:
                return super().append(message, delivery_tag)
            except (RedisError, OSError) as error:
                logger.warning("Task %s can't be noted as taken yet: %s", message.headers.get("id"), error)
                sleep(NOTE_PAUSE)
        return super().append(message, delivery_tag)

    # A task may end after the connection that brought it was closed. Kombu doesn't expect that, and its AttributeError
    # would end the worker. The task stays in the list, and is given to a worker again.

    def ack(self, delivery_tag):
        if self._connected():
            super().ack(delivery_tag)

    def reject(self, delivery_tag, requeue=False):
        if self._connected():
            super().reject(delivery_tag, requeue)

    def restore_unacked(self, client=None):
        if self._connected():
            super().restore_unacked(client)

    def _connected(self):
        return self.channel.connection and self.channel.connection.client


# Not by a transport of our own: kombu returns to its own ones when it moves on to the next Sentinel in the list.
redis.Channel.QoS = PatientQoS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "familygames.settings")
app = Celery("familygames")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def configure_redbeat(sender, **kwargs):
    """RedBeat doesn't know Celery's prefix of settings."""
    sender.conf.update(settings.REDBEAT)
