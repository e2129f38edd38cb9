"""What visitors see, and what becomes of input that makes no sense."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

SLUG = "quiet-party"


def titles(response):
    return re.findall(r'<h3><a href="/games/[^"]+">([^<]+)', response.content.decode())


def test_home_shows_featured_games_and_the_ways_in(client):
    page = client.get("/")
    assert page.status_code == 200
    assert len(titles(page)) == 8
    assert "?age=6" in page.content.decode()
    assert "?category=cards" in page.content.decode()


def test_browse_filters_by_age_and_category(client):
    from games.models import Game

    page = client.get("/games/?age=5&category=cards")
    expected = Game.objects(min_age__lte=5, categories="cards")
    assert f"{expected.count()} games" in page.content.decode()
    assert len(titles(page)) == 24
    assert set(titles(page)) <= {game.title.replace("'", "&#x27;") for game in expected}


def test_browse_pages_show_every_game_once(client):
    from games.models import Game

    total = Game.objects.count()
    pages = -(-total // 24)
    shown = [title for page in range(1, pages + 1) for title in titles(client.get(f"/games/?page={page}"))]
    assert len(shown) == len(set(shown)) == total
    assert client.get(f"/games/?page={pages + 1}").status_code == 404


def test_page_links_keep_the_filters_and_nothing_else(client):
    page = client.get("/games/?age=8&page=2&utm_source=letter").content.decode()
    assert 'href="?age=8&amp;page=3"' in page
    assert "utm_source" not in page


@pytest.mark.parametrize(
    "query", ["age=abc", "age=-1", "age=99", "category=chess", "page=0", "page=-3", "page=abc", "page=" + "9" * 5000]
)
def test_browse_refuses_what_makes_no_sense(client, query):
    page = client.get(f"/games/?{query}")
    assert page.status_code == 400
    assert "masthead" in page.content.decode()


@pytest.mark.parametrize(
    "path",
    ["/games/?page=1000000000", "/games/no-such-game/", "/games/no-such-game/review/", "/x", f"/games/{'x' * 999}/"],
)
def test_what_does_not_exist_is_a_404_in_the_look_of_the_site(client, path):
    page = client.get(path)
    assert page.status_code == 404
    assert "masthead" in page.content.decode()


def test_a_mistake_of_ours_is_a_500_in_the_look_of_the_site(client, monkeypatch):
    monkeypatch.setattr("games.views.FEATURED", "eight")
    client.raise_request_exception = False
    page = client.get("/")
    assert page.status_code == 500
    assert "masthead" in page.content.decode()


def test_game_page_shows_its_reviews_and_average(client, review_client):
    assert "Nobody has reviewed" in client.get(f"/games/{SLUG}/").content.decode()
    for rating in ("5", "4", "4"):
        answer = review_client(SLUG, rating=rating, text=f"We give it {rating} of five.")
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/games/{SLUG}/")
    page = client.get(f"/games/{SLUG}/").content.decode()
    assert "4.3 out of 5, from 3 reviews" in page
    assert page.count("We give it 4 of five.") == 2


def test_reviews_at_the_same_moment_are_all_counted(site):
    from games.models import Game, Review

    game = Game.objects.get(slug="echoes-for-bats")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: game.add_review(name=f"Child {number}", rating=3, text="All at once."), range(24)))
    game.reload()
    assert (game.rating_count, game.rating_sum) == (24, 72)
    assert Review.objects(game=game.slug).count() == 24


def test_html_in_a_review_is_text(client, review_client):
    review_client("cobweb-deal", name="<b>Bo</b>", text="<script>alert(1)</script>")
    page = client.get("/games/cobweb-deal/").content.decode()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    "fields",
    [{"rating": "0"}, {"rating": "6"}, {"rating": ""}, {"name": " "}, {"name": "x" * 41}, {"text": "short"}]
    + [{"text": "x" * 2001}, {"text": "null\0byte in it"}],
)
def test_a_wrong_review_is_not_saved(review_client, fields):
    from games.models import Review

    before = Review.objects.count()
    answer = review_client("pantry-words", **fields)
    assert answer.status_code == 422
    assert "isn't saved" in answer.content.decode()
    assert Review.objects.count() == before


def test_a_review_without_the_csrf_token_is_refused():
    from django.test import Client

    answer = Client(enforce_csrf_checks=True).post(
        f"/games/{SLUG}/review/", {"name": "Ada", "rating": "5", "text": "x" * 20}
    )
    assert answer.status_code == 403
    assert "masthead" in answer.content.decode()


def test_other_methods_are_refused(client):
    assert client.post("/games/").status_code == 405
    assert client.delete(f"/games/{SLUG}/review/").status_code == 405


def test_a_host_that_is_not_ours_is_refused(client):
    assert client.get("/healthz", headers={"host": "elsewhere.example"}).status_code == 400


def test_headers_keep_pages_safe_and_fresh(client):
    headers = client.get("/").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-cache"


def test_pages_obey_their_own_content_security_policy(client):
    for path in ("/", "/games/", f"/games/{SLUG}/", f"/games/{SLUG}/review/"):
        page = client.get(path).content.decode()
        assert not re.search(r'<script(?! src="/static/)|<style| style=|https?://(?!www\.w3\.org)', page)


def test_a_browser_that_has_the_page_gets_304(client):
    tag = client.get("/").headers["ETag"]
    assert client.get("/", headers={"if-none-match": tag}).status_code == 304


def test_static_names_are_hashed_and_their_list_stays_with_the_release(client):
    import os
    from pathlib import Path

    stylesheet = re.search(r"/static/(games/site\.\w{12}\.css)", client.get("/").content.decode())[1]
    assert Path(os.environ["STATIC_ROOT"], stylesheet).is_file()
    assert not Path(os.environ["STATIC_ROOT"], "staticfiles.json").exists()
    assert Path(os.environ["STATIC_MANIFEST_DIR"], "staticfiles.json").is_file()


def test_robots(client):
    answer = client.get("/robots.txt")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "Disallow: /readyz" in answer.content.decode()
