"""What the balancer and the monitoring ask: does this process live, and can it serve pages?"""

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import pymongo
from django.conf import settings
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from pymemcache.client.base import Client

from . import queue, search
from .models import Game

MONGODB_SECONDS = 1.0
MEMCACHED_SECONDS = 0.5


@never_cache
def healthz(request):
    """200 as long as this process answers. It touches no dependency."""
    return JsonResponse({"status": "ok"})


@never_cache
def readyz(request):
    """200 if MongoDB can be read, else 503. Without the others the site works, less well: `degraded`, still 200."""
    checks = {"mongodb": _read_mongodb}
    if settings.MEMCACHED_SERVERS:
        checks["memcached"] = _ask_memcached
    if settings.SOLR_URLS:
        checks["search"] = search.ping
    if settings.BROKER_URL:
        checks["queue"] = queue.ping
    with ThreadPoolExecutor(len(checks)) as pool:
        results = dict(zip(checks, pool.map(_run, checks.values()), strict=True))
    if not results["mongodb"]["ok"]:
        return JsonResponse({"status": "error", "checks": results}, status=503)
    return JsonResponse({"status": "ok" if all(r["ok"] for r in results.values()) else "degraded", "checks": results})


def _run(check):
    """Run `check` and describe how it went: `ok`, the time in `ms` and, of a failure, the kind of `error`."""
    start = perf_counter()
    try:
        check()
        result = {"ok": True}
    except Exception as error:  # Whatever went wrong is the answer.
        result = {"ok": False, "error": type(error).__name__}
    return result | {"ms": round((perf_counter() - start) * 1000, 1)}


def _read_mongodb():
    with pymongo.timeout(MONGODB_SECONDS):
        Game.objects.only("slug").first()


def _ask_memcached():
    with ThreadPoolExecutor(len(settings.MEMCACHED_SERVERS)) as pool:
        list(pool.map(_ask_memcached_server, settings.MEMCACHED_SERVERS))


def _ask_memcached_server(server):
    client = Client(server, connect_timeout=MEMCACHED_SECONDS, timeout=MEMCACHED_SECONDS)
    try:
        client.version()
    finally:
        client.close()
