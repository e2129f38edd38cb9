"""The members of a MongoDB replica set: what they are called, and what they say of themselves."""

from __future__ import annotations

try:
    from pymongo import MongoClient
    from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
except ImportError:
    MongoClient = None
    ConnectionFailure = OperationFailure = PyMongoError = OSError

ANSWER_SECONDS = 3
POLL_SECONDS = 0.5


def endpoint(address, port):
    """Return the name that an address has in the set and in a connection string."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def connect(host, **options):
    """Return a client of this one member."""
    return MongoClient(
        host,
        directConnection=True,
        serverSelectionTimeoutMS=ANSWER_SECONDS * 1000,
        connectTimeoutMS=2000,
        socketTimeoutMS=60000,
        **options,
    )


def ask(host):
    """Return what a member says of itself and its set, or an empty dict if it does not answer."""
    client = connect(host)
    try:
        return client.admin.command("hello")
    except PyMongoError:
        return {}
    finally:
        client.close()


def names_of(answer):
    """Return the names of the members that can be elected, or be once they have a priority, as a member knows them."""
    return answer.get("hosts", []) + answer.get("passives", [])
