"""The games that visitors add, and the import of catalogue files."""

import re

import pytest

GAME = {
    "title": "Où est le Renard?",
    "summary": "A fox hides.",
    "description": "Seek it.",
    "categories": ["party", "outdoor"],
    "min_age": "5",
    "min_players": "2",
    "max_players": "8",
    "minutes": "20",
    "year": "2024",
}


@pytest.fixture
def added(site):
    from games.models import Game

    yield
    Game.objects(title__startswith="Où est").delete()


def test_a_game_that_a_visitor_adds_has_a_page_at_once(client, added):
    client.get("/games/")
    assert "Add a game" in client.get("/games/add/").content.decode()
    answer = client.post("/games/add/", GAME)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/games/ou-est-le-renard/")
    page = client.get("/games/ou-est-le-renard/").content.decode()
    assert "Où est le Renard?" in page and "5+" in page and "Outdoor games" in page
    answer = client.post("/games/add/", GAME | {"summary": "Another."})
    assert answer.status_code == 422
    assert "There is a game with this title already." in answer.content.decode()
    assert "A fox hides." in client.get("/games/ou-est-le-renard/").content.decode()


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "???"},
        {"title": "Add"},
        {"title": "x" * 81},
        {"title": "null\0byte"},
        {"summary": ""},
        {"year": "soon"},
    ]
    + [{"categories": []}, {"categories": ["chess"]}, {"min_age": "1"}, {"min_players": "9"}, {"minutes": "9" * 99}],
)
def test_a_wrong_game_is_not_saved(client, fields):
    from games.models import Game

    before = Game.objects.count()
    answer = client.post("/games/add/", GAME | fields)
    assert answer.status_code == 422
    assert "isn't saved" in answer.content.decode()
    assert Game.objects.count() == before


def test_a_game_and_an_import_without_the_csrf_token_are_refused():
    from django.test import Client

    for path in ("/games/add/", "/import/"):
        assert Client(enforce_csrf_checks=True).post(path, GAME).status_code == 403


def test_the_import_page_is_off_without_a_password(client, monkeypatch, upload):
    path = upload([{"slug": "off", "title": "Off"}])
    monkeypatch.setattr("django.conf.settings.IMPORT_PASSWORD", "")
    for address in ("/import/", path):
        assert client.get(address).status_code == 404
    assert client.post("/import/", {"password": ""}).status_code == 404


@pytest.mark.parametrize(
    ("file", "password", "message"),
    [
        ("[{}]", "open sesam", "This is not the password."),
        ("[{}]", "pässword", "This is not the password."),
        ("[{", " öpen sesame€ ", "This is no catalogue"),
        ("{}", " öpen sesame€ ", "expected a list of games"),
        ("[]", " öpen sesame€ ", "expected a list of games"),
        ("[" * 100_000, " öpen sesame€ ", "This is no catalogue"),
        (b"[\xff]", " öpen sesame€ ", "This is no catalogue"),
        ("[" + "{}," * 5000 + "{}]", " öpen sesame€ ", "5,001 games are too many"),
        ("[" + " " * 8 * 1024 * 1024 + "]", " öpen sesame€ ", "a file of less than 8 MiB"),
    ],
    ids=str,
)
def test_a_wrong_upload_is_not_kept(client, file, password, message):
    from io import BytesIO

    from games.models import Import

    before = Import.objects.count()
    content = BytesIO(file if isinstance(file, bytes) else file.encode())
    content.name = "games.json"
    answer = client.post("/import/", {"file": content, "password": password})
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert Import.objects.count() == before


def test_an_import_shows_its_progress_and_its_result(client, upload):
    from games import tasks
    from games.models import Game

    path = upload([{"slug": f"imported-{number}", "title": f"Imported {number}"} for number in range(250)])
    page = client.get(path)
    assert "no-store" in page.headers["Cache-Control"]
    assert "is waiting" in page.content.decode() and 'http-equiv="refresh"' in page.content.decode()

    crash = RuntimeError("cut off")

    def fail(slugs):
        if "imported-150" in slugs:
            raise crash

    index = tasks._index
    tasks._index = fail
    try:
        with pytest.raises(RuntimeError, match="cut off"):
            tasks.import_catalogue(path.split("/")[2])
    finally:
        tasks._index = index
    page = client.get(path).content.decode()
    assert '<progress max="250" value="100"' in page and "100 of 250 games" in page
    assert Game.objects(slug__startswith="imported-").count() == 200
    for _ in range(2):
        tasks.import_catalogue(path.split("/")[2])
        page = client.get(path).content.decode()
        assert "250 games: 250 added, 0 changed, 0 unchanged" in page and "refresh" not in page
    assert Game.objects(slug__startswith="imported-").count() == 250


def test_every_wrong_entry_is_named_and_nothing_is_imported(client, upload):
    from games import tasks
    from games.models import Game

    wrong = [{"slug": "Wrong"}, {"min_age": "<i>"}, {"slug": "right"}, {"title": "\ud800"}]
    path = upload([{"slug": "right", "title": "Right"}, *wrong])
    tasks.import_catalogue(path.split("/")[2])
    page = client.get(path).content.decode()
    errors = re.findall(r"<li>(entry .*?)</li>", page)
    assert [error.split()[1] for error in errors] == ["2", "3", "4", "5"]
    assert "slug" in errors[0] and "min_age" in errors[1] and "used twice" in errors[2]
    assert not Game.objects(slug="right")


def test_an_import_that_fails_again_and_again_is_given_up(client, upload, monkeypatch):
    from games import tasks

    monkeypatch.setattr(tasks, "_index", lambda slugs: 1 / 0)
    path = upload([{"slug": "never", "title": "Never"}])
    for _ in range(tasks.ATTEMPTS):
        with pytest.raises(ZeroDivisionError):
            tasks.import_catalogue(path.split("/")[2])
    tasks.import_catalogue(path.split("/")[2])
    assert "given up" in client.get(path).content.decode()


def test_the_sweep_sends_an_import_again_that_nobody_runs(upload):
    from datetime import timedelta

    from games import tasks
    from games.models import Import, now

    path = upload([{"slug": "lost", "title": "Lost"}])
    sent = []
    job = Import.objects.get(id=path.split("/")[2])
    job.update(updated=now() - timedelta(seconds=100))
    tasks_send, tasks.send = tasks.send, lambda task, *arguments: sent.append((task, *arguments))
    try:
        tasks.sweep()
        tasks.sweep()
    finally:
        tasks.send = tasks_send
    assert sent.count((tasks.import_catalogue, job.id)) == 1


def test_without_the_broker_an_import_is_not_begun(client, monkeypatch, upload):
    from games.models import Import

    monkeypatch.setattr("django.conf.settings.BROKER_URL", "")
    before = Import.objects.count()
    assert "queue of tasks is away" in upload([{"slug": "away", "title": "Away"}])
    assert Import.objects.count() == before
