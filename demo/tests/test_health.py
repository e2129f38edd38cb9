"""Health, outages, and the site under flup's forked processes."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

PATH = "/games/pantry-words/"


def test_ready_with_all_dependencies(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    report = answer.json()
    assert report["status"] == "ok"
    assert report["checks"].keys() == {"mongodb", "memcached", "search", "queue"}
    assert all(check["ok"] for check in report["checks"].values())
    assert report["checks"]["mongodb"]["ms"] > 0


def test_without_memcached_the_site_is_degraded_but_ready(serve, closed_port):
    status, _, body = serve(MEMCACHED_SERVERS=closed_port)("/readyz")
    assert status == 200
    assert json.loads(body)["status"] == "degraded"
    assert not json.loads(body)["checks"]["memcached"]["ok"]


def test_without_mongodb_the_process_lives_but_is_not_ready(serve, closed_port, silent_port):
    for address in (closed_port, silent_port):
        get = serve(MONGODB_URL=f"mongodb://{address}/games?replicaSet=rs0", MEMCACHED_SERVERS=silent_port)
        assert get("/healthz")[0] == 200
        start = time.perf_counter()
        status, _, body = get("/readyz")
        assert time.perf_counter() - start < 10
        assert status == 503
        assert json.loads(body)["status"] == "error"


def test_without_mongodb_kept_pages_are_served_and_others_say_back_soon(client, serve, closed_port):
    client.get(PATH)
    get = serve(MONGODB_URL=f"mongodb://{closed_port}/games_test?replicaSet=rs0")
    status, headers, body = get(PATH)
    assert (status, headers["x-cache"]) == (200, "hit")
    assert "Pantry Words" in body
    start = time.perf_counter()
    status, headers, body = get("/games/cobweb-deal/")
    assert time.perf_counter() - start < 20
    assert (status, headers["retry-after"], headers["cache-control"]) == (503, "10", "no-store")
    assert "Back soon" in body


def test_flup_processes_answer_a_thousand_requests(serve):
    get = serve()
    get("/healthz")
    paths = ["/", "/games/?page=2", PATH, PATH + "review/", "/readyz"] * 200
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(get, paths))
    assert {status for status, _, _ in answers} == {200}
    assert len({headers["x-process"] for _, headers, _ in answers}) > 1
