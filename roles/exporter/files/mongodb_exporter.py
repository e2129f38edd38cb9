"""Serve the metrics of a MongoDB to Prometheus, by the names under which other exporters serve them."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

PRIMARY, SECONDARY = 1, 2
SECONDS = 5
"""How long MongoDB may take for an answer. Prometheus asks again."""

NO_SET = (76, 94)
"""What a mongod says that is, or is not yet, a member of no replica set."""

COUNTS = {
    "mongodb_op_counters_total": ("Operations since mongod started.", "opcounters"),
    "mongodb_asserts_total": ("Assertions that failed since mongod started.", "asserts"),
}
CACHE = {
    "total": "bytes currently in the cache",
    "dirty": "tracked dirty bytes in the cache",
}


def family(kind, name, text, samples):
    """Return a metric of the kind, with its samples: pairs of labels, as a dictionary, and a value."""
    metric = kind(name, text, labels=list(samples[0][0]) if samples else [])
    for labels, value in samples:
        metric.add_metric(list(labels.values()), value)
    return metric


def gauge(name, text, *samples):
    """Return a metric that goes up and down."""
    return family(GaugeMetricFamily, name, text, samples)


def server_metrics(status):
    """Yield what the answer to serverStatus says."""
    yield gauge("mongodb_version_info", "The version of mongod.", ({"mongodb": status["version"]}, 1))
    yield gauge("mongodb_instance_uptime_seconds", "Seconds since mongod started.", ({}, status["uptime"]))
    connections = [({"state": state}, status["connections"][state]) for state in ("current", "available", "active")]
    yield gauge("mongodb_connections", "Connections, and how many more could be made.", *connections)
    yield gauge("mongodb_memory_resident_bytes", "Memory in use.", ({}, status["mem"]["resident"] * 2**20))
    for name, (text, part) in COUNTS.items():
        samples = [({"type": kind}, value) for kind, value in status[part].items() if isinstance(value, int)]
        yield family(CounterMetricFamily, name, text, samples)
    queue = status["globalLock"]["currentQueue"]
    waiting = [({"type": kind}, queue[f"{kind}s"]) for kind in ("reader", "writer")]
    yield gauge("mongodb_mongod_global_lock_current_queue", "Operations that wait for a lock.", *waiting)
    cache = status.get("wiredTiger", {}).get("cache")
    if cache:
        samples = [({"type": kind}, cache[name]) for kind, name in CACHE.items()]
        yield gauge("mongodb_mongod_wiredtiger_cache_bytes", "What is in WiredTiger's cache.", *samples)
        size = cache["maximum bytes configured"]
        yield gauge("mongodb_mongod_wiredtiger_cache_max_bytes", "Size of WiredTiger's cache.", ({}, size))


def member_lags(members):
    """Return how many seconds each secondary that answers is behind the primary; nothing while there is no primary."""
    dates = [member["optimeDate"] for member in members if member["state"] == PRIMARY]
    return {
        member["name"]: max(0.0, (max(dates) - member["optimeDate"]).total_seconds())
        for member in members
        if dates and member["state"] == SECONDARY and member["health"]
    }


def replica_set_metrics(status):
    """Yield what the answer to replSetGetStatus says of the members, as this one sees them."""
    own, members = {"set": status["set"]}, status["members"]
    prefix = "mongodb_mongod_replset"
    yield gauge(f"{prefix}_my_state", "State of this member: 1 primary, 2 secondary.", (own, status["myState"]))
    yield gauge(f"{prefix}_number_of_members", "Members of the set.", (own, len(members)))
    health = [(own | {"name": member["name"]}, member["health"]) for member in members]
    yield gauge(f"{prefix}_member_health", "Whether the member answers to this one.", *health)
    states = [
        (own | {"name": member["name"], "state": member["stateStr"].partition(" ")[0]}, member["state"])
        for member in members
    ]
    yield gauge(f"{prefix}_member_state", "State of the member.", *states)
    lags = [(own | {"name": member}, seconds) for member, seconds in member_lags(members).items()]
    yield gauge(f"{prefix}_member_replication_lag", "Seconds by which a secondary is behind the primary.", *lags)


def oplog_metrics(name, first, last):
    """Yield from when to when the log of operations reaches, given its first and its last entry."""
    for end, which, entry in (("tail", "oldest", first), ("head", "latest", last)):
        text = f"Time of the {which} operation in the log."
        yield gauge(f"mongodb_mongod_replset_oplog_{end}_timestamp", text, ({"set": name}, entry["ts"].time))


class Collector:
    """Asks MongoDB whenever Prometheus asks."""

    def __init__(self, client):
        self.client = client
        self.trouble = None

    def ask(self):
        """Return all metrics of a MongoDB that answers."""
        metrics = [*server_metrics(self.client.admin.command("serverStatus"))]
        try:
            status = self.client.admin.command("replSetGetStatus")
        except OperationFailure as error:
            if error.code in NO_SET:
                return metrics
            raise
        metrics += replica_set_metrics(status)
        oplog = self.client.local["oplog.rs"]
        ends = [oplog.find_one({}, {"ts": True}, sort=[("$natural", order)]) for order in (1, -1)]
        return metrics + ([*oplog_metrics(status["set"], *ends)] if all(ends) else [])

    def collect(self):
        """Return all metrics, or that there are none. The journal is told when that changes."""
        try:
            metrics, trouble = self.ask(), None
        except PyMongoError as error:
            metrics, trouble = [], str(error).partition(", full error")[0].partition(", Timeout")[0]
        if trouble != self.trouble:
            self.trouble = trouble
            print(f"MongoDB does not answer: {trouble}" if trouble else "MongoDB answers again.", flush=True)
        return [gauge("mongodb_up", "Whether MongoDB answers.", ({}, int(not trouble))), *metrics]


def handler_of(collector):
    """Return a class that answers the requests over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        """Answers /metrics."""

        timeout = SECONDS

        def do_GET(self):
            """Serve the metrics."""
            if self.path != "/metrics":
                self.send_error(404)
                return
            body = generate_latest(collector)
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE_LATEST)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Requests are no news."""

    return Handler


def main():
    """Serve until the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--login", type=Path, required=True, help="file with user and password, in JSON")
    parser.add_argument("--server", default="127.0.0.1:27017", help="host and port of MongoDB")
    parser.add_argument("--listen", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=9216, help="port to listen on")
    options = parser.parse_args()
    login = json.loads(options.login.read_text())
    client = MongoClient(
        f"mongodb://{options.server}/?directConnection=true",
        username=login["user"],
        password=login["password"],
        authSource="admin",
        appname="mongodb-exporter",
        maxPoolSize=1,
        heartbeatFrequencyMS=30000,
        serverSelectionTimeoutMS=SECONDS * 500,
        connectTimeoutMS=SECONDS * 1000,
        socketTimeoutMS=SECONDS * 1000,
    )
    HTTPServer.address_family = socket.AF_INET6 if ":" in options.listen else socket.AF_INET
    with HTTPServer((options.listen, options.port), handler_of(Collector(client))) as server:
        server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
