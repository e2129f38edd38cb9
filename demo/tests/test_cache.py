"""The page cache: what is kept, and that nobody sees a page older than what was written."""

import os
import time

SLUG = "muddy-bedtime"
PATH = f"/games/{SLUG}/"


def x_cache(response):
    return response.headers["X-Cache"]


def test_second_visit_is_a_hit_with_the_same_page(client):
    first, second = client.get(PATH), client.get(PATH)
    assert (x_cache(first), x_cache(second)) == ("miss", "hit")
    assert first.content == second.content
    assert first.headers["Content-Type"] == second.headers["Content-Type"]
    assert x_cache(client.head(PATH)) == "hit"


def test_the_query_string_is_normalised(client):
    assert x_cache(client.get("/games/?age=6&category=cards")) == "miss"
    assert x_cache(client.get("/games/?category=cards&utm_source=x&age=6&page=")) == "hit"
    assert x_cache(client.get("/games/?category=cards&age=6&page=2")) == "miss"
    assert x_cache(client.get("/games/")) == "miss"


def test_only_good_anonymous_pages_are_kept(client):
    for _ in range(2):
        assert x_cache(client.get("/games/no-such-game/")) == "bypass"
        assert x_cache(client.get(PATH, headers={"authorization": "Basic x"})) == "bypass"
        assert x_cache(client.get(PATH + "review/")) == "bypass"
        assert x_cache(client.get("/healthz")) == "bypass"


def test_a_review_is_seen_at_once_everywhere(client, review_client, serve):
    other_server = serve()
    pages = [PATH, "/games/", "/"]
    unrelated = "/games/pantry-words/"
    for path in [*pages, unrelated]:
        client.get(path)
        assert other_server(path)[1]["x-cache"] == "hit"
    review_client(SLUG, text="Seen at once, on both servers.")
    assert "Seen at once" in other_server(PATH)[2]
    assert "Seen at once" in client.get(PATH).content.decode()
    assert [other_server(path)[1]["x-cache"] for path in pages[1:]] == ["miss", "miss"]
    assert other_server(unrelated)[1]["x-cache"] == "hit"


def test_a_page_rendered_from_data_that_changes_meanwhile_is_not_kept(site):
    from django.http import HttpResponse
    from django.test import RequestFactory

    from games.cache import cached_page, forget

    data = ["old"]

    @cached_page(tags=lambda: ["shelf"])
    def view(request):
        response = HttpResponse(data[0])
        if data[0] == "old":
            data[0] = "new"
            forget("shelf")
        return response

    request = RequestFactory().get("/shelf/")
    assert view(request).content == b"old"
    assert [view(request).content for _ in range(2)] == [b"new", b"new"]


def test_a_lost_generation_does_not_bring_an_old_page_back(client):
    from django.core.cache import cache

    from games.cache import _tag_key, forget

    assert [x_cache(client.get(PATH)) for _ in range(2)] == ["miss", "hit"]
    forget("catalogue")
    cache.delete(_tag_key("catalogue"))
    assert x_cache(client.get(PATH)) == "miss"


def test_another_release_does_not_serve_these_pages(client, monkeypatch):
    from django.conf import settings

    client.get(PATH)
    monkeypatch.setattr(settings, "BASE_DIR", "/releases/next")
    assert x_cache(client.get(PATH)) == "miss"


def test_without_memcached_servers_there_is_no_page_cache(serve):
    get = serve(MEMCACHED_SERVERS="")
    assert [get(PATH)[1]["x-cache"] for _ in range(2)] == ["bypass", "bypass"]
    assert get("/readyz")[2].count('"memcached"') == 0


def test_memcached_that_does_not_answer_is_not_waited_for_at_each_request(serve, closed_port, silent_port):
    for away in (closed_port, silent_port):
        get = serve(MEMCACHED_SERVERS=away)
        get("/healthz")
        start = time.perf_counter()
        for _ in range(60):
            status, headers, _ = get(PATH)
            assert (status, headers["x-cache"]) == (200, "miss")
        # Half a second for each of a few processes; for each request it would be thirty.
        assert time.perf_counter() - start < 20


def test_pages_move_to_the_servers_that_live(serve, closed_port):
    get = serve(MEMCACHED_SERVERS=f"{closed_port},{os.environ['MEMCACHED_SERVERS']}")
    paths = ["/games/pantry-words/", "/games/cobweb-deal/", "/games/quiet-party/", "/", "/games/"]
    for _ in range(10):
        for path in paths:
            assert get(path)[0] == 200
    assert {get(path)[1]["x-cache"] for path in paths} == {"hit"}
