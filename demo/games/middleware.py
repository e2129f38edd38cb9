"""Headers that every response carries, and the page that visitors see while the database is away."""

import logging

from django.shortcuts import render
from mongoengine.errors import OperationError
from pymongo.errors import PyMongoError

logger = logging.getLogger(__name__)

DEFAULT_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    # Browsers keep a page but ask each time whether it changed, so that visitors see their own review.
    "Cache-Control": "no-cache",
    "X-Cache": "bypass",
}


def default_headers(get_response):
    """Middleware: add DEFAULT_HEADERS, except those that the response already has."""

    def middleware(request):
        response = get_response(request)
        for name, value in DEFAULT_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return middleware


class DatabaseErrors:
    """Middleware: answer 503 with a friendly page when MongoDB fails a request."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        if not isinstance(exception, PyMongoError | OperationError):
            return None
        logger.error("%s %s: %s", request.method, request.path, exception)
        response = render(request, "503.html", status=503)
        response.headers["Retry-After"] = "10"
        response.headers["Cache-Control"] = "no-store"
        return response
