"""Search, in Solr. The index holds copies of the games in MongoDB.

A copy carries a digest of what it was made from, by which `differences` finds the copies that are missing or old. So an
update that was lost on its way, whatever the reason, is found and made good.
"""

import hashlib
import json
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote, urlsplit

import pysolr
from django.conf import settings
from django.utils.html import format_html, format_html_join
from pymongo import ReadPreference

from .models import AGES, Game

logger = logging.getLogger(__name__)

GAMES_PER_PAGE = 24
SUGGESTIONS = 8
READ_SECONDS = (0.5, 2)  # to connect, to answer
WRITE_SECONDS = (0.5, 15)
PING_SECONDS = (0.4, 0.4)
REST_SECONDS = 15  # how long a server that failed isn't asked
COMMIT_MILLISECONDS = 1000
BATCH = 500

STORED = ["slug", "title", "summary", "categories", "min_age", "min_players", "max_players", "minutes"]
STORED += ["rating_count", "rating_sum"]
# Counted among the digest, so that a new form of the documents makes every copy an old one.
FORM = 1
# What Solr puts around a word that was found. Characters for private use: they are no HTML.
MARKS = ("\ue000", "\ue001")


class Unavailable(Exception):
    """No server of the search answers."""


@dataclass
class Hit:
    """A game that was found; `title`, `summary` and `extract` are HTML, the words that were found in <mark>."""

    game: Game
    title: str
    summary: str
    extract: str


@dataclass
class Found:
    """A page of what was found, and how many games there are in all, for each age and for each category."""

    total: int
    hits: list
    ages: dict
    categories: dict


class Server:
    """A core of Solr by its URL, which may hold a login. It rests for REST_SECONDS after a failure."""

    def __init__(self, url, timeout):
        parts = urlsplit(url)
        login = None
        if parts.username:
            # As bytes, since requests would encode text as Latin-1. Solr reads UTF-8.
            login = (unquote(parts.username).encode(), unquote(parts.password or "").encode())
        self.name = parts.netloc.rpartition("@")[2]
        self.rests_until = 0
        self.failures = 0  # in a row
        self.solr = pysolr.Solr(parts._replace(netloc=self.name).geturl(), timeout=timeout, auth=login)

    def ask(self, method, *args, **kwargs):
        """Call a method of pysolr.Solr. Unavailable if that fails, whatever the reason."""
        try:
            answer = getattr(self.solr, method)(*args, **kwargs)
        except (pysolr.SolrError, ValueError) as error:
            self.rests_until = time.monotonic() + REST_SECONDS
            self.failures += 1
            raise Unavailable(f"{self.name}: {str(error)[:200]}") from error
        self.rests_until = 0
        self.failures = 0
        return answer

    def rests(self):
        """Whether it failed less than REST_SECONDS ago."""
        return time.monotonic() < self.rests_until


def find(text, age=None, category=None, page=1):
    """The games with the words of `text`, best first, that are playable at `age` and of the `category`."""
    words = _words(text)
    if not words:
        return Found(total=0, hits=[], ages={}, categories={})
    filters = []
    if age:
        filters.append(f"{{!tag=age}}min_age:[* TO {age}]")
    if category:
        filters.append(f"{{!term tag=category f=categories}}{category}")
    answer = _read(
        words,
        search_handler="search",
        fl=",".join(STORED),
        fq=filters,
        start=(page - 1) * GAMES_PER_PAGE,
        rows=GAMES_PER_PAGE,
        **{
            "hl.tag.pre": MARKS[0],
            "hl.tag.post": MARKS[1],
            # Each filter's counts leave out that filter itself: they say what choosing another value would bring.
            "facet.field": "{!ex=category}categories",
            "facet.query": [f"{{!ex=age key={value}}}min_age:[* TO {value}]" for value in AGES],
        },
    )
    counts = answer.facets["facet_fields"]["categories"]
    return Found(
        total=answer.hits,
        hits=[_hit(document, answer.highlighting.get(document["slug"], {})) for document in answer],
        ages={int(value): count for value, count in answer.facets["facet_queries"].items()},
        categories=dict(zip(counts[::2], counts[1::2], strict=True)),
    )


def suggest(text):
    """A few games, as (title, slug), in whose titles words begin with the words of `text`."""
    words = _words(text)
    answer = _read(words, search_handler="suggest", fl="title,slug", rows=SUGGESTIONS) if words else []
    return [(document["title"], document["slug"]) for document in answer]


def index(games):
    """Write `games` into the index; they are found a few seconds later. Unavailable at once while the leader rests."""
    if _leader().rests():
        raise Unavailable(f"{_leader().name} failed a moment ago")
    _leader().ask("add", [_document(game) for game in games], commit=False, commitWithin=str(COMMIT_MILLISECONDS))


def index_all(slugs):
    """Write the games called `slugs` into the index. Yields how many are done, and how many of them just now."""
    for start in range(0, len(slugs), BATCH):
        batch = slugs[start : start + BATCH]
        index(Game.objects(slug__in=batch).read_preference(ReadPreference.PRIMARY))
        yield start + len(batch), len(batch)


def remove(slugs):
    if slugs:
        _leader().ask("delete", id=list(slugs), commit=True)


def commit():
    _leader().ask("commit")


def differences():
    """The slugs of the games whose copies are missing or old, and of the copies whose games are no more."""
    # The index is read first: a game that is added meanwhile must not look like one that is no more.
    copies = _leader().ask("search", "*:*", fl="slug,digest", rows=BATCH * 10, sort="slug asc", cursorMark="*")
    try:
        held = {copy["slug"]: copy.get("digest") for copy in copies}
    except pysolr.SolrError as error:
        raise Unavailable(str(error)[:200]) from error
    games = Game.objects.read_preference(ReadPreference.PRIMARY)
    wanted = {game.slug: _document(game)["digest"] for game in games}
    return sorted(slug for slug in wanted if held.get(slug) != wanted[slug]), sorted(held.keys() - wanted.keys())


def ping():
    """Raise an exception unless every server answers within a second."""
    servers = _servers(PING_SECONDS)
    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(lambda server: server.ask("search", "*:*", rows=0), servers))


@cache
def _servers(timeout):
    return [Server(url, timeout) for url in settings.SOLR_URLS]


@cache
def _leader():
    if not settings.SOLR_URLS:
        raise Unavailable("SOLR_URLS is empty")
    return Server(settings.SOLR_URLS[0], WRITE_SECONDS)


def _read(query, **parameters):
    """The answer of the first server that gives one.

    One that rests is asked last, and once more: a single slow answer must not cost the only server that is left. After
    its second failure in a row it isn't asked before it has rested: a search that is down must not hold up the site.
    """
    for server in 2 * sorted(_servers(READ_SECONDS), key=Server.rests):
        if server.failures < 2 or not server.rests():
            try:
                return server.ask("search", query, **parameters)
            except Unavailable as error:
                logger.warning("%s", error)
    raise Unavailable("no server of the search answers")


def _words(text):
    """The words of `text`, in small letters: nothing in them is syntax to Solr, AND and OR included."""
    return " ".join(re.findall(r"\w+(?:['’]\w+)*", text.lower()))


def _document(game):
    """The copy of a game that the index holds."""
    document = {name: getattr(game, name) for name in [*STORED, "description"]}
    document["categories"] = list(game.categories)
    document["rating"] = game.rating or 0
    digest = hashlib.sha256(json.dumps([FORM, document], sort_keys=True).encode()).hexdigest()
    return document | {"digest": digest}


def _hit(document, marked):
    game = Game(**{name: value for name, value in document.items() if name in STORED})
    title, summary, description = (marked.get(field, [None])[0] for field in ("title", "summary", "description"))
    return Hit(
        game=game,
        title=_html(title or game.title),
        summary=_html(summary or game.summary),
        extract=_html(description) if description and not (title or summary) else "",
    )


def _html(text):
    """`text` as HTML: whatever a visitor wrote into it is text, and what stands between MARKS is in a <mark>."""
    pieces = enumerate(re.split(f"[{''.join(MARKS)}]", text))
    return format_html_join("", "{}", ((_mark(piece) if number % 2 else piece,) for number, piece in pieces))


def _mark(text):
    return format_html("<mark>{}</mark>", text)
