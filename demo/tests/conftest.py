"""Fixtures. The tests use a real MongoDB, Memcached, Redis and Solr, and empty them."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import fastcgi
import pytest

DEMO = Path(__file__).resolve().parent.parent


def wait_for(question, *arguments, seconds=30):
    """The answer of `question` as soon as it is true; the test fails if that takes longer than `seconds`."""
    end = time.monotonic() + seconds
    while not (answer := question(*arguments)):
        assert time.monotonic() < end, f"{question} says {answer!r} after {seconds} seconds"
        time.sleep(0.1)
    return answer


def is_up(ping):
    """Whether a function that raises an exception while a server is away does not."""
    try:
        ping()
    except Exception:
        return False
    return True


def pytest_configure(config):
    for name in ("MONGODB_URL", "MEMCACHED_SERVERS", "BROKER_URL", "SOLR_URLS"):
        if not os.environ.get(name):
            raise pytest.UsageError(f"Set {name}: the tests need real daemons (see README.md).")
    if not urlsplit(os.environ["MONGODB_URL"]).path.endswith("_test"):
        raise pytest.UsageError("The tests empty their database, so its name in MONGODB_URL must end in _test.")


@pytest.fixture(scope="session", autouse=True)
def site(tmp_path_factory):
    """The site set up as a deployment does it: static files collected, indexes made, games loaded and indexed."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="familygames.settings",
        SECRET_KEY="not a secret: this is a test" * 2,
        ALLOWED_HOSTS="testserver",
        PAGE_CACHE_SECONDS="300",
        TASK_SECONDS="10",
        IMPORT_PASSWORD=" öpen sesame€ ",
        STATIC_ROOT=str(tmp_path_factory.mktemp("static")),
        STATIC_MANIFEST_DIR=str(tmp_path_factory.mktemp("manifest")),
    )
    import django

    django.setup()
    from celery import current_app
    from django.core.management import call_command

    from games import search
    from games.models import Game

    Game._get_db().client.drop_database(Game._get_db())
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("ensure_indexes")
    call_command("load_games")
    wait_for(is_up, search.ping, seconds=60)
    call_command("reindex")
    current_app.control.purge()
    yield
    Game._get_db().client.drop_database(Game._get_db())
    Game._get_db().client.close()


@pytest.fixture(autouse=True)
def empty_cache(site):
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def client(site):
    from django.test import Client

    return Client()


@pytest.fixture
def review_client(site):
    """A function that posts a review through the form, as a browser does, with whatever fields are given."""
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)

    def post(slug, **fields):
        form = browser.get(f"/games/{slug}/review/").content.decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]
        review = {"name": "Ada", "rating": "5", "text": "We laughed all evening.", "csrfmiddlewaretoken": token}
        return browser.post(f"/games/{slug}/review/", review | fields)

    return post


@pytest.fixture
def upload(client):
    """A function that uploads a catalogue of games, of which the fields are given that matter.

    It returns the address of the page that shows the progress, or the page if the file isn't taken.
    """
    from games.models import Game

    slugs = []

    def post(games):
        usual = {"summary": "A game.", "description": "Play.", "categories": ["party"], "min_age": 6, "min_players": 2}
        usual |= {"slug": "usual", "title": "Usual", "max_players": 4, "minutes": 10, "year": 2020, "featured": False}
        slugs.extend(game["slug"] for game in games if "slug" in game)
        file = BytesIO(json.dumps([usual | game for game in games]).encode())
        file.name = "games.json"
        answer = client.post("/import/", {"file": file, "password": " öpen sesame€ "})
        return answer.headers.get("Location") or answer.content.decode()

    yield post
    Game.objects(slug__in=slugs).delete()


SERVER = """
import os
from flup.server.fcgi_fork import WSGIServer
from familygames.wsgi import application

def tell_process(environ, start_response):
    def start(status, headers, exc_info=None):
        return start_response(status, [*headers, ("X-Process", str(os.getpid()))], exc_info)
    return application(environ, start)

WSGIServer(tell_process, maxSpare=4, debug=False).run()
"""


@pytest.fixture
def serve(site, tmp_path):
    """A function that starts the site under flup, as in production, with other environment variables.

    It returns a function that gets a path and returns its status, headers and body.
    """
    processes = []

    def start(**environment):
        address = str(tmp_path / f"{len(processes)}.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(64)
            command = [sys.executable, "-W", "error::UserWarning", "-c", SERVER]
            processes.append(subprocess.Popen(command, cwd=DEMO, env=os.environ | environment, stdin=listener))
        return partial(fastcgi.get, address)

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def closed_port():
    """An address where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield "127.0.0.1:{1}".format(*unused.getsockname())


@pytest.fixture
def silent_port():
    """An address that accepts connections and never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        yield "127.0.0.1:{1}".format(*silent.getsockname())


@pytest.fixture
def slow_once():
    """A function that returns an address that forwards to the given one, after a first connection without an answer."""
    with ExitStack() as sockets:

        def copy(source, target):
            with suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def serve(listener, address):
            sockets.enter_context(listener.accept()[0])
            while True:
                client = sockets.enter_context(listener.accept()[0])
                server = sockets.enter_context(socket.create_connection(address))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=copy, args=ends, daemon=True).start()

        def start(address):
            listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
            threading.Thread(target=serve, args=(listener, address), daemon=True).start()
            return "127.0.0.1:{1}".format(*listener.getsockname())

        yield start
