#!/usr/bin/python3
"""Count what waits in queues: lists of Redis, on the primary that its Sentinels name.

The login needs '+llen' on their keys, and may ask the Sentinels for the primary.
"""

import argparse

import redis_set
from plugin import CRITICAL, Report, Unknown, add_thresholds, grade, login, main


def lengths(options, user, password):
    """Return the length of each queue, or the exception that was raised, or nothing if there is no primary."""
    from redis.exceptions import RedisError

    primary, _, _ = redis_set.most(redis_set.primaries(options, user, password))
    if not primary:
        return None
    client = redis_set.connect(*primary, user, password, options.timeout)
    try:
        return {queue: client.llen(queue) for queue in options.queues.split(",")}
    except RedisError as error:
        return error
    finally:
        client.close()


def judge(found, options):
    """Turn the lengths into a report."""
    report = Report()
    if found is None:
        report.say(CRITICAL, f"no Sentinel knows a primary of {options.name}")
        return report
    if isinstance(found, Exception):
        # A response is about the login or the key; no response is about the server.
        if type(found).__name__ in ("AuthenticationError", "NoPermissionError", "ResponseError"):
            raise Unknown(str(found))
        report.say(CRITICAL, f"the primary does not answer ({type(found).__name__})")
        return report
    for queue, length in found.items():
        report.say(grade(length, options.warning, options.critical), f"{queue}: {length} waiting")
        report.figure(queue, length, "", f"{options.warning:g}", f"{options.critical:g}")
    return report


def check(options):
    """Count."""
    return judge(lengths(options, *login(options.credentials, options.login)), options)


def parser():
    """Return the parser of the options."""
    options = argparse.ArgumentParser(description=__doc__)
    redis_set.add_options(options)
    options.add_argument("--queues", default="celery", help="names, with commas between them (%(default)s)")
    add_thresholds(options, "waiting in one queue", 100, 1000)
    return options


if __name__ == "__main__":
    main(parser(), check)
