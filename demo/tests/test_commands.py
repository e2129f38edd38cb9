"""The management commands, and the errors of a wrong environment."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parent.parent
GAME = {
    "slug": "test-of-patience",
    "title": "Test of Patience",
    "summary": "A game for tests.",
    "description": "Wait.",
    "categories": ["cards"],
    "min_age": 6,
    "min_players": 1,
    "max_players": 4,
    "minutes": 10,
    "year": 2020,
    "featured": False,
}


@pytest.fixture
def load(tmp_path):
    """A function that loads a list of games, or a text instead of one, and returns what the command printed."""
    from django.core.management import call_command

    from games.models import Game

    def run(content):
        path = tmp_path / "games.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        output = StringIO()
        call_command("load_games", path, stdout=output)
        return output.getvalue().strip()

    yield run
    Game.objects(slug=GAME["slug"]).delete()


def test_the_games_that_come_with_the_site_load_once(site):
    from django.core.management import call_command

    output = StringIO()
    call_command("load_games", stdout=output)
    total = len(json.loads(Path(DEMO, "games", "data", "games.json").read_text(encoding="utf-8")))
    assert total > 1000
    assert output.getvalue().strip() == f"{total} games: 0 added, 0 changed, {total} unchanged"


def test_loading_again_keeps_reviews_and_shows_the_change(client, load, review_client):
    assert load([GAME]) == "1 games: 1 added, 0 changed, 0 unchanged"
    review_client(GAME["slug"], rating="4")
    assert "from 1 review" in client.get(f"/games/{GAME['slug']}/").content.decode()
    assert load([GAME]) == "1 games: 0 added, 0 changed, 1 unchanged"
    assert load([GAME | {"title": "Test of Nerves"}]) == "1 games: 0 added, 1 changed, 0 unchanged"
    page = client.get(f"/games/{GAME['slug']}/").content.decode()
    assert "Test of Nerves" in page
    assert "4.0 out of 5, from 1 review" in page


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (GAME | {"slug": "Not a slug"}, r"entry 2 \('Not a slug'\).*slug"),
        (GAME | {"min_age": "six"}, r"entry 2 .*min_age"),
        (GAME | {"min_players": 5}, r"entry 2 .*min_players is greater"),
        (GAME | {"categories": ["chess"]}, r"entry 2 .*categories"),
        (GAME | {"rating_sum": 500}, r"entry 2 .*unknown: rating_sum"),
        ({key: GAME[key] for key in GAME if key != "title"}, r"entry 2 .*missing.*title"),
        (GAME, r"entry 2 \('test-of-patience'\).*used twice"),
        ("snap", r"entry 2 \('snap'\): expected an object"),
    ],
)
def test_one_wrong_game_is_named_and_nothing_is_written(load, entry, message):
    from django.core.management import CommandError

    from games.models import Game

    with pytest.raises(CommandError, match=message):
        load([GAME, entry])
    assert not Game.objects(slug=GAME["slug"])


@pytest.mark.parametrize("content", ["[{]", "{}", "[]"])
def test_a_file_that_is_no_list_of_games_is_refused(load, content):
    from django.core.management import CommandError

    with pytest.raises(CommandError, match="games.json"):
        load(content)


def test_indexes_exist_and_queries_use_them(site):
    from games.models import Game, Review

    assert Review._get_collection().index_information().keys() == {"_id_", "game_1_created_-1"}
    plan = str(Game.objects(categories="cards").order_by("title").explain()["queryPlanner"]["winningPlan"])
    assert "categories_1_title_1" in plan
    assert "'stage': 'SORT'" not in plan


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is required"),
        ({"MONGODB_URL": ""}, "MONGODB_URL is required"),
        ({"MONGODB_URL": "mongodb://127.0.0.1"}, "MONGODB_URL must name a database"),
        ({"PAGE_CACHE_SECONDS": "5m"}, "PAGE_CACHE_SECONDS must be a whole number of seconds, not '5m'"),
    ],
)
def test_a_wrong_environment_is_named(site, environment, message):
    command = [sys.executable, "manage.py", "check"]
    result = subprocess.run(command, cwd=DEMO, env=os.environ | environment, capture_output=True, text=True)
    assert result.returncode != 0
    assert f"ImproperlyConfigured: The environment variable {message}" in result.stderr


def test_static_files_are_collected_without_any_server(site, tmp_path):
    environment = {
        "MONGODB_URL": "mongodb://127.0.0.1:1/games",
        "MEMCACHED_SERVERS": "127.0.0.1:1",
        "STATIC_ROOT": str(tmp_path / "static"),
        "STATIC_MANIFEST_DIR": str(tmp_path),
    }
    command = [sys.executable, "manage.py", "collectstatic", "--noinput"]
    subprocess.run(command, cwd=DEMO, env=os.environ | environment, check=True, timeout=20)
    assert (tmp_path / "staticfiles.json").is_file()
