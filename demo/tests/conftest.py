"""Fixtures. The tests use a real MongoDB and a real Memcached, and empty both."""

import os
import re
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import fastcgi
import pytest

DEMO = Path(__file__).resolve().parent.parent


def pytest_configure(config):
    for name in ("MONGODB_URL", "MEMCACHED_SERVERS"):
        if not os.environ.get(name):
            raise pytest.UsageError(f"Set {name}: the tests need a real MongoDB and Memcached (see README.md).")
    if not urlsplit(os.environ["MONGODB_URL"]).path.endswith("_test"):
        raise pytest.UsageError("The tests empty their database, so its name in MONGODB_URL must end in _test.")


@pytest.fixture(scope="session", autouse=True)
def site(tmp_path_factory):
    """The site set up as a deployment does it: static files collected, indexes made, games loaded."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="familygames.settings",
        SECRET_KEY="not a secret: this is a test" * 2,
        ALLOWED_HOSTS="testserver",
        PAGE_CACHE_SECONDS="300",
        STATIC_ROOT=str(tmp_path_factory.mktemp("static")),
        STATIC_MANIFEST_DIR=str(tmp_path_factory.mktemp("manifest")),
    )
    import django

    django.setup()
    from django.core.management import call_command

    from games.models import Game

    Game._get_db().client.drop_database(Game._get_db())
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("ensure_indexes")
    call_command("load_games")
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
