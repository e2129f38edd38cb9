"""Whole pages in Memcached.

A page depends on tags, such as `game:snap`. Each tag has a generation, a random token in Memcached, and the
generations of its tags are part of a page's key. `forget` gives a tag a new generation, after which the old pages can't
be found and age out. A page's generations are read before it is rendered: a page rendered from data that has changed
meanwhile is stored under a key that nobody asks for any more. A generation that Memcached lost is replaced by one never
used before.

Web servers that disagree on which Memcached servers live can see each other's old pages, PAGE_CACHE_SECONDS at most.
"""

import hashlib
import secrets
from functools import wraps

from django.conf import settings
from django.core.cache import cache
from django.core.cache.backends.memcached import PyMemcacheCache
from django.http import HttpResponse
from django.utils.http import urlencode


class MemcachedRing(PyMemcacheCache):
    """Django's client of several Memcached servers, which keeps its connections from one request to the next."""

    def close(self, **kwargs):
        """Do nothing: a connection per request would use up the machine's ports under load."""


def cached_page(tags, query=()):
    """Decorate a view so that its pages are kept in Memcached for PAGE_CACHE_SECONDS.

    `tags` is called with the view's arguments and returns the tags of the page. `query` names the parameters of the
    query string that the view reads; the others don't make another page. The response header X-Cache says `hit`,
    `miss` (rendered, and stored if its status is 200) or `bypass` (the cache is off, or not for such a request).
    """

    def decorate(view):
        @wraps(view)
        def cached_view(request, **kwargs):
            if not _cacheable(request):
                return view(request, **kwargs)
            key = _key(request, tags(**kwargs), query)
            content = cache.get(key)
            response = HttpResponse(content) if content else view(request, **kwargs)
            response.headers["X-Cache"] = "hit" if content else "miss"
            if not content and response.status_code == 200:
                cache.set(key, response.content, settings.PAGE_CACHE_SECONDS)
            return response

        return cached_view

    return decorate


def forget(*tags):
    """Make every page that depends on one of `tags` stale. Call it after the data has been written."""
    for tag in tags:
        cache.set(_tag_key(tag), _new_generation(), timeout=None)


def _cacheable(request):
    on = settings.MEMCACHED_SERVERS and settings.PAGE_CACHE_SECONDS
    return on and request.method in {"GET", "HEAD"} and "Authorization" not in request.headers


def _key(request, tags, query):
    parameters = [(name, request.GET[name]) for name in query if request.GET.get(name)]
    # The release's own folder is part of the key: a new release doesn't serve the pages of the old one.
    page = f"{settings.BASE_DIR} {request.path}?{urlencode(parameters)} "
    return _digest(page.encode() + b"".join(_generations(tags)))


def _generations(tags):
    keys = [_tag_key(tag) for tag in tags]
    found = cache.get_many(keys)
    return [found.get(key) or cache.get_or_set(key, _new_generation, timeout=None) for key in keys]


def _tag_key(tag):
    return _digest(f"generation {tag}".encode())


def _digest(data):
    """A key for `data` that Memcached accepts, however long `data` is."""
    return hashlib.sha256(data).hexdigest()


def _new_generation():
    return secrets.token_hex(8).encode()
