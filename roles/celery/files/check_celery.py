"""Ask a Celery application, in its own environment, whether all is well with it.

    check_celery.py APP load SECONDS TIME_LIMIT SCHEDULER
        Can it be imported, with beat's scheduler, and does its broker answer?
    check_celery.py APP queues SECONDS --warning N --critical N --queues NAME,NAME
        How many tasks wait? A plugin of Nagios: exit codes 0 to 3, and figures.

APP is what celery's option --app takes, SECONDS the time that an answer may take. It imports from the folder that
it is started in.
"""

import argparse
import os
import re
import signal
import sys
import time
from pathlib import Path

OK, WARNING, CRITICAL, UNKNOWN = range(4)
STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


class Unwell(Exception):
    """Something is wrong, in words for a person."""


def reason(error):
    """Return what an exception says, without the login of an address in it."""
    return re.sub(r"(://)[^/@\s]*@", r"\1", f"{type(error).__name__}: {error}")


def find(name):
    """Return the application."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        from celery.app.utils import find_app
    except ImportError as error:
        raise Unwell(f"Celery is not among the application's libraries: {reason(error)}") from error
    try:
        app = find_app(name)
        app.finalize()
        app.loader.import_default_modules()
    except Exception as error:
        raise Unwell(f"The Celery application {name} can't be imported: {reason(error)}") from error
    return app


def connect(app, seconds):
    """Return a connection to the broker that answers."""

    def give_up(*_):
        raise TimeoutError(f"no answer within {seconds} seconds")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    last = None
    try:
        while True:
            connection = app.connection_for_write()
            try:
                # The virtual transports connect with their first channel.
                connection.channel().close()
                return connection
            except TimeoutError:
                raise
            except Exception as error:
                last = error
                connection.close()
                time.sleep(0.5)
    except TimeoutError as error:
        raise Unwell(f"The broker can't be reached: {reason(last or error)}") from error
    finally:
        signal.alarm(0)


def load(app, arguments):
    """Check the application, its scheduler and its broker."""
    from kombu.utils.imports import symbol_by_name

    if arguments.scheduler:
        try:
            symbol_by_name(arguments.scheduler)
        except Exception as error:
            raise Unwell(f"celery_beat_scheduler: {arguments.scheduler} can't be imported: {reason(error)}") from error
    visible = app.conf.broker_transport_options.get("visibility_timeout")
    if visible is not None and visible < arguments.time_limit:
        raise Unwell(
            f"The application's broker_transport_options give a task to another worker after {visible} seconds, while"
            f" celery_workers let it run for {arguments.time_limit}: raise visibility_timeout, or lower time_limit."
        )
    connect(app, arguments.seconds).close()


def length(app, connection, name):
    """Return how many tasks wait in a queue; none in one that nobody has sent to yet."""
    channel = connection.channel()
    try:
        return app.amqp.queues[name](channel).queue_declare(passive=True).message_count
    except connection.channel_errors as error:
        if str(getattr(error, "reply_code", "")) == "404":
            return 0
        raise
    finally:
        channel.close()


def queues(app, arguments):
    """Print the lengths of the queues, and return the state of the longest."""
    with connect(app, arguments.seconds) as connection:
        try:
            lengths = {name: length(app, connection, name) for name in arguments.queues}
        except Exception as error:
            raise Unwell(f"The broker does not tell the lengths of the queues: {reason(error)}") from error
    longest = max(lengths.values())
    state = CRITICAL if longest >= arguments.critical else WARNING if longest >= arguments.warning else OK
    words = ", ".join(f"{count} in {name}" for name, count in lengths.items())
    figures = " ".join(
        f"'{name}'={count};{arguments.warning};{arguments.critical};0" for name, count in lengths.items()
    )
    print(f"QUEUES {STATES[state]} - tasks waiting: {words} | {figures}")
    return state


def parse():
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("app")
    actions = parser.add_subparsers(required=True)
    for action in (load, queues):
        below = actions.add_parser(action.__name__)
        below.set_defaults(action=action)
        below.add_argument("seconds", type=int)
        if action is load:
            below.add_argument("time_limit", type=int)
            below.add_argument("scheduler")
        else:
            below.add_argument("--warning", type=int, required=True)
            below.add_argument("--critical", type=int, required=True)
            below.add_argument("--queues", type=lambda names: names.split(","), required=True)
    try:
        return parser.parse_args()
    except SystemExit as stop:
        sys.exit(UNKNOWN if stop.code else OK)


def main():
    """Do what the command line says."""
    arguments = parse()
    plugin = arguments.action is queues
    try:
        code = arguments.action(find(arguments.app), arguments)
    except Unwell as error:
        if plugin:
            print(f"QUEUES UNKNOWN - {error}")
            code = UNKNOWN
        else:
            sys.exit(str(error))
    # Not by the interpreter's own way out, which waits for threads of the application.
    sys.stdout.flush()
    os._exit(code or OK)


if __name__ == "__main__":
    main()
