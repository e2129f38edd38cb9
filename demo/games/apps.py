from django.apps import AppConfig
from django.conf import settings
from mongoengine import connect
from pymongo import ReadPreference


class GamesConfig(AppConfig):
    name = "games"

    def ready(self):
        """Describe the MongoDB connection. It opens on first use, in the process that uses it: after the fork."""
        connect(
            host=settings.MONGODB_URL,
            connect=False,
            tz_aware=True,
            uuidRepresentation="standard",
            w="majority",
            # Pages keep being read from a secondary while the replica set elects a primary.
            read_preference=ReadPreference.PRIMARY_PREFERRED,
            # An operation, its retries included, ends within five seconds, and a silent server is noticed sooner.
            timeoutMS=5000,
            connectTimeoutMS=1500,
            heartbeatFrequencyMS=1500,
        )
