"""An application behind FastCGI that says what it was asked, and how often."""

import json
from pathlib import Path

from flup.server.fcgi_fork import WSGIServer

ASKED = Path("/run/site-state/asked")


def application(environ, start_response):
    """Answer with the request as JSON."""
    with ASKED.open("ab") as asked:
        asked.write(b".")
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen | {"body": body.decode("latin-1"), "asked": ASKED.stat().st_size}).encode()]


WSGIServer(application, bindAddress=None, minSpare=2, maxSpare=4, maxChildren=8).run()
