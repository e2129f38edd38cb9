"""Run a release of a Django site: serve it, load it, check that it is well, or run its Python.

    serve.py RELEASE PROJECT serve WSGI WORKERS REQUESTS
    serve.py RELEASE PROJECT load WSGI
    serve.py RELEASE PROJECT check WSGI HOST PATH SECONDS
    serve.py RELEASE PROJECT python ARGUMENT...

RELEASE is a folder with `source`, `virtualenv` and `manifest`, PROJECT the folder of manage.py in `source`, and WSGI
module:name of the callable. What follows `python` is for the virtualenv's Python in the project's folder, such as
`manage.py shell` or `-m celery`. To be started with the system's Python.
"""

import contextlib
import importlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from urllib.parse import unquote
from wsgiref.util import setup_testing_defaults


def enter(release, project):
    """Go on in the release's own virtualenv and in the project's folder."""
    # The link `current` may be pointed at another release while this process lives: it must not be followed again.
    release = Path(release).resolve()
    virtualenv = (release / "virtualenv").resolve()
    if Path(sys.prefix) != virtualenv:
        python = str(virtualenv / "bin/python")
        os.execv(python, [python, __file__, str(release), project, *sys.argv[3:]])
    folder = release / "source" / project
    os.chdir(folder)
    sys.path[0] = str(folder)
    os.environ["STATIC_MANIFEST_DIR"] = str(release / "manifest")


def load(wsgi):
    """Return the WSGI callable."""
    module, _, name = wsgi.partition(":")
    try:
        importlib.import_module("flup.server.fcgi_fork")
    except ModuleNotFoundError:
        sys.exit("The requirements of the project do not contain flup.")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception:
        traceback.print_exc()
        sys.exit(f"The WSGI callable {wsgi} can't be loaded.")


def get(application, host, path):
    """Return the status and the body with which the application answers a GET request."""
    environ = {"HTTP_HOST": host, "HTTPS": "on", "HTTP_X_FORWARDED_PROTO": "https"}
    environ["PATH_INFO"], _, environ["QUERY_STRING"] = path.partition("?")
    setup_testing_defaults(environ)
    statuses = []
    answer = application(environ, lambda status, *_: statuses.append(status) or (lambda _: None))
    try:
        body = b"".join(answer)
    finally:
        with contextlib.suppress(AttributeError):
            answer.close()
    return statuses[-1], body


def check(application, host, path, seconds):
    """Fail unless the application answers 2xx or 3xx within the time."""
    until = time.monotonic() + int(seconds)
    signal.alarm(int(seconds) + 5)
    while True:
        status, body = get(application, host, path)
        if status[0] in "23":
            return
        if time.monotonic() > until:
            sys.exit(f"{body[:500].decode(errors='replace')}\n{path} of {host} answers {status}.")
        # The next attempts would log the same.
        logging.disable()
        time.sleep(1)


class Stop(Exception):
    """SIGTERM was received."""


def serve(application, workers, requests):
    """Answer FastCGI requests from the socket on descriptor 0 until SIGTERM, then finish those in progress."""
    from flup.server.fcgi_fork import WSGIServer

    class Server(WSGIServer):
        """flup's prefork server, with as many workers always; patched where Python 3 does other than flup expects."""

        def _intHandler(self, signum, frame):
            # A handler that returns does not end select(), so that an idle server would not notice the signal.
            raise Stop

        def _child(self, sock, parent):
            # Not all at the same time.
            self._maxRequests += secrets.randbelow(self._maxRequests // 10 + 1)
            super()._child(sock, parent)

        def _sanitizeEnv(self, environ):
            # The web server resolves what its PATH_INFO has, such as "//". Here it is as sent, or as a rule rewrote it.
            target = environ.get("REDIRECT_URI") or environ["REQUEST_URI"]
            environ["PATH_INFO"] = unquote(target.partition("?")[0], "latin-1")
            super()._sanitizeEnv(environ)

        def _reapChildren(self):
            # A worker that closed its end is exiting. It is replaced at once, not after the next time-out.
            for pid in [pid for pid, child in self._children.items() if child["file"] is None]:
                os.waitpid(pid, 0)
                del self._children[pid]
            super()._reapChildren()

        def finish(self):
            """Tell the workers to exit after the request that they are at, and wait until they did."""
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            for child in self._children.values():
                if child["file"] is not None:
                    child["file"].close()
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.wait()

    workers = int(workers)
    server = Server(
        application, minSpare=workers, maxSpare=workers, maxChildren=workers, maxRequests=int(requests), debug=False
    )
    notify("READY=1")
    try:
        server.run()
    except Stop:
        server.finish()


def notify(state):
    """Tell systemd."""
    address = os.environ.pop("NOTIFY_SOCKET", None)
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.connect(address.replace("@", "\0", 1))
            connection.sendall(state.encode())


def main():
    """Do what the command line says."""
    release, project, action, *arguments = sys.argv[1:]
    enter(release, project)
    if action == "python":
        os.execv(sys.executable, [sys.executable, *arguments])
    application = load(arguments[0])
    if action == "check":
        check(application, *arguments[1:])
    elif action == "serve":
        serve(application, *arguments[1:])


if __name__ == "__main__":
    main()
