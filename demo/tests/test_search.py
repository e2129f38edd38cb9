"""Search: what is found and how it is shown, what becomes of odd input, and the site while search is away."""

import json
import os
import re
from html import unescape
from urllib.parse import urlsplit

import pytest

SILLY = "silly-walk-tournament"


@pytest.fixture
def add_game(site):
    """A function that saves and indexes a game, with whatever fields are given, until the test ends."""
    from games import search
    from games.models import Game

    slugs = []

    def add(slug, **fields):
        game = {"title": slug, "summary": "A game.", "description": "Play.", "categories": ["party"], "min_age": 6}
        game |= {"min_players": 2, "max_players": 4, "minutes": 10, "year": 2020}
        slugs.append(slug)
        search.index([Game(slug=slug, **game | fields).save()])
        search.commit()

    yield add
    Game.objects(slug__in=slugs).delete()
    search.remove(slugs)


def page(client, query):
    return unescape(client.get(f"/search/?{query}").content.decode())


def found(client, query):
    """The slugs on the page of `query`, best first."""
    return re.findall(r'<h3><a href="/games/([^/]+)/', page(client, query))


def count(client, query):
    return int(re.search(r'<p class="count">([\d,]+) game', page(client, query))[1].replace(",", ""))


def test_a_word_in_the_title_counts_most(client, add_game):
    add_game("third", description="Here a quokka naps.")
    add_game("second", summary="A quokka naps.")
    add_game("first", title="Quokka")
    assert found(client, "q=quokka") == ["first", "second", "third"]


@pytest.mark.parametrize("words", ["juggling", "juggles", "JUGGLED", "creme", "Crème", "baron’s", "juggle baron crème"])
def test_endings_accents_and_capitals_do_not_matter(client, add_game, words):
    add_game(SILLY, title="The Baron's Crème", summary="Everybody juggles.")
    assert SILLY in found(client, f"q={words}")


def test_of_many_words_one_may_be_missing(client, add_game):
    add_game(SILLY, title="Zebra xylophone")
    assert found(client, "q=zebra+xylophone+wombat") == [SILLY]
    assert SILLY not in found(client, "q=zebra+wombat")


def test_counts_of_the_filters_are_what_choosing_them_brings(client):
    from games.models import Game

    text = page(client, "q=cards")
    ages = {int(age): int(n) for age, n in re.findall(r'from (\d+) years <span class="number">(\d+)', text)}
    kinds = re.findall(r'category=(\w+)">[\w ]+ <span class="number">(\d+)', text)
    assert ages and kinds
    for kind, number in kinds:
        assert count(client, f"q=cards&category={kind}") == int(number)
    assert count(client, "q=cards&age=4") == ages[4] < ages[8]
    both = found(client, "q=cards&age=4&category=memory")
    assert both and all(g.min_age <= 4 and "memory" in g.categories for g in Game.objects(slug__in=both))
    assert 'href="?q=cards&category=memory" aria-current="true"' in page(client, "q=cards&age=4&category=memory")


def test_pages_show_every_game_once(client):
    total = count(client, "q=game")
    pages = -(-total // 24)
    shown = [slug for number in range(1, pages + 1) for slug in found(client, f"q=game&page={number}")]
    assert pages > 2
    assert len(shown) == len(set(shown)) == total
    assert client.get(f"/search/?q=game&page={pages + 1}").status_code == 404
    assert client.get("/search/?q=game&page=1000000000").status_code == 404


def test_words_are_marked_and_html_is_text(client, add_game):
    add_game(
        SILLY, title="<b>Quokka</b>", summary="<script>quokka</script> & \ue000friends\ue001", description="x" * 2000
    )
    html = client.get("/search/?q=quokka").content.decode()
    assert "&lt;b&gt;<mark>Quokka</mark>&lt;/b&gt;" in html
    assert "&lt;script&gt;<mark>quokka</mark>&lt;/script&gt; &amp; " in html
    assert "<b>" not in html and "<script>" not in html


def test_an_extract_shows_why_a_game_was_found(client, add_game):
    add_game(SILLY, description="Long. " * 100 + "Then the quokka sleeps. " + "Long. " * 100)
    assert "Then the <mark>quokka</mark> sleeps." in page(client, "q=quokka")


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "AND",
        "OR NOT",
        "(((",
        "title:x",
        "*:*",
        "{!func}x",
        "_query_:x",
        "a\\",
        "%00",
        "%ff",
        "~",
        "+-!",
        "🎲",
        "x" * 100,
    ]
    + ["a " * 50, "{!xmlparser}x", "category:cards && *", "[1 TO 2]", "${x}", "snap^99999999999999999999999"],
)
def test_odd_input_is_only_words(client, query):
    assert client.get("/search/", {"q": query}).status_code == 200
    assert client.get("/search/suggest/", {"q": query}).status_code == 200


@pytest.mark.parametrize("query", ["q=" + "x" * 101, "q=x&age=abc", "q=x&category=chess", "q=x&page=0", "q=a%00b"])
def test_what_makes_no_sense_is_a_400(client, query):
    assert client.get(f"/search/?{query}").status_code == 400


def test_no_word_asks_for_one_and_no_game_offers_others(client):
    assert "Type a word" in page(client, "")
    assert "No game fits" in page(client, "q=quokka")
    assert client.get("/search/?q=quokka").headers["X-Cache"] == "bypass"


def test_suggestions_begin_like_what_is_typed(client, add_game):
    add_game(SILLY, title="Élan vital")

    def suggested(text):
        return client.get("/search/suggest/", {"q": text}).json()["games"]

    assert {"title": "Élan vital", "path": f"/games/{SILLY}/"} in suggested("ela")
    assert {"title": "Élan vital", "path": f"/games/{SILLY}/"} in suggested("VITA él")
    assert suggested("lan vit") == suggested("") == []
    assert len(suggested("a")) == 8
    script = re.search(r'<script src="/static/games/(suggest[^"]*)"', client.get("/").content.decode())
    assert script and 'data-suggest="/search/suggest/"' in client.get("/").content.decode()


def test_reindex_writes_what_changed_and_removes_what_is_gone(client, add_game, site):
    from django.core.management import call_command

    from games.models import Game

    add_game("comes", title="Quokka comes")
    add_game("goes", title="Quokka goes")
    Game.objects(slug="comes").update(title="Wombat comes")
    Game.objects(slug="goes").delete()
    call_command("reindex", "--if-needed")
    assert found(client, "q=quokka") == []
    assert found(client, "q=wombat") == ["comes"]
    call_command("reindex")
    assert found(client, "q=wombat") == ["comes"]


def test_reindex_reports(site, capsys):
    from django.core.management import call_command

    from games.models import Game

    call_command("reindex")
    assert f"{Game.objects.count()} games indexed, 0 removed" in capsys.readouterr().out
    call_command("reindex", "--if-needed")
    assert "0 games indexed, 0 removed" in capsys.readouterr().out


def test_another_server_answers_while_one_is_away(serve, closed_port, silent_port):
    for away in (closed_port, silent_port):
        get = serve(SOLR_URLS=f"http://games:x@{away}/solr/games,{os.environ['SOLR_URLS']}")
        get("/healthz")
        status, _, body = get("/search/?q=squirrel")
        assert status == 200 and "Squirrel" in body


def test_without_search_the_page_says_so_and_the_rest_is_up(serve, closed_port):
    get = serve(SOLR_URLS=f"http://{closed_port}/solr/games,http://{closed_port}/solr/games")
    status, headers, body = get("/search/?q=squirrel")
    assert (status, headers["retry-after"]) == (503, "15")
    assert "Search is having a rest" in body
    assert get("/search/suggest/?q=squirrel")[2] == '{"games": []}'
    assert get("/games/")[0] == 200
    status, _, body = get("/readyz")
    assert status == 200
    assert json.loads(body)["status"] == "degraded"


@pytest.fixture
def searched(monkeypatch):
    """A function that makes the site search at the given URLs, until the test ends."""
    from games import search

    def use(*urls):
        monkeypatch.setattr("django.conf.settings.SOLR_URLS", urls)
        search._servers.cache_clear()

    yield use
    search._servers.cache_clear()


def failures(caplog):
    return len([record for record in caplog.records if record.name == "games.search"])


def test_a_silent_search_is_left_alone_after_its_second_failure(client, silent_port, searched, caplog):
    searched(f"http://{silent_port}/solr/games")
    for _ in range(2):
        assert client.get("/search/?q=squirrel").status_code == 503
    assert failures(caplog) == 2
    report = client.get("/readyz").json()
    assert report["status"] == "degraded"
    assert not report["checks"]["search"]["ok"]


def test_the_only_server_left_may_be_slow_once(client, closed_port, slow_once, searched, caplog):
    url = urlsplit(os.environ["SOLR_URLS"])
    slow = slow_once((url.hostname, url.port))
    searched(f"http://{closed_port}/solr/games", url._replace(netloc=f"{url.username}:{url.password}@{slow}").geturl())
    for _ in range(3):
        assert "Squirrel" in page(client, "q=squirrel")
    assert failures(caplog) == 3, "one of the slow server, two of the one that is down"


@pytest.mark.parametrize("urls", ["", "http://127.0.0.1:1/solr/games"])
def test_reindex_without_search(site, urls):
    import subprocess
    import sys

    from conftest import DEMO

    for options, code in (([], 1), (["--if-needed"], 0)):
        command = [sys.executable, "manage.py", "reindex", *options]
        result = subprocess.run(
            command, cwd=DEMO, env=os.environ | {"SOLR_URLS": urls}, capture_output=True, text=True, timeout=20
        )
        assert result.returncode == code
        assert "earch" in result.stderr and "Traceback" not in result.stderr
