#!/usr/bin/python3
"""Look at a set of Redis as its Sentinels see it: its primary, and whether the replicas are in step.

Critical: no primary, no majority of Sentinels, no replica in step, or one that is too far behind. Warning: a replica or
a Sentinel that is missing. The login needs '+info +ping' at Redis, and may ask the Sentinels for the primary.
"""

import argparse

import redis_set
from plugin import CRITICAL, OK, WARNING, Report, Unknown, add_thresholds, grade, login, main


def look(options, user, password):
    """Return what the Sentinels say, and what the primary says of its replication, or the exception that it raised."""
    from redis.exceptions import RedisError

    said = redis_set.primaries(options, user, password)
    primary, _, _ = redis_set.most(said)
    if not primary:
        return said, None
    client = redis_set.connect(*primary, user, password, options.timeout)
    try:
        return said, client.info("replication")
    except RedisError as error:
        return said, error
    finally:
        client.close()


def refused(said):
    """Return the answers that concern the login, not the server."""
    return [str(error) for error in said if type(error).__name__ in ("AuthenticationError", "NoPermissionError")]


def judge(said, replication, options):
    """Turn the answers into a report."""
    report = Report()
    if reasons := refused([*said.values(), replication]):
        raise Unknown(reasons[0])
    primary, named, answered = redis_set.most(said)
    if answered <= len(said) // 2:
        report.say(CRITICAL, f"{answered} of {len(said)} Sentinels answer: no majority to replace a primary")
    elif answered < len(said):
        report.say(WARNING, f"{answered} of {len(said)} Sentinels answer")
    report.figure("sentinels", answered)
    if not primary:
        report.say(CRITICAL, f"no Sentinel knows a primary of {options.name}")
        return report
    if named < answered:
        report.say(WARNING, "the Sentinels name different primaries")

    where = f"{primary[0]}:{primary[1]}"
    if isinstance(replication, Exception):
        report.say(CRITICAL, f"the primary {where} does not answer ({type(replication).__name__})")
        return report
    if replication["role"] != "master":
        report.say(CRITICAL, f"{where}, the primary of the Sentinels, is a replica")
        return report
    report.say(OK, f"primary {where}")

    expected = len(options.sentinels) - 1 if options.replicas is None else options.replicas
    replicas = [replication[f"slave{number}"] for number in range(replication["connected_slaves"])]
    online = [replica for replica in replicas if replica["state"] == "online"]
    behind = max((float(replica["lag"]) for replica in online), default=0)
    if expected and not online:
        report.say(CRITICAL, "no replica is in step")
    elif len(online) < expected:
        report.say(WARNING, f"{len(online)} of {expected} replicas are in step")
    else:
        report.say(OK, f"{len(online)} replicas are in step")
    if state := grade(behind, options.warning, options.critical):
        report.say(state, f"a replica was last heard of {behind:.0f} s ago")
    report.figure("replicas", len(online))
    report.figure("lag", f"{behind:.0f}", "s", options.warning, options.critical)
    return report


def check(options):
    """Look at the set."""
    return judge(*look(options, *login(options.credentials, options.login)), options)


def parser():
    """Return the parser of the options."""
    options = argparse.ArgumentParser(description=__doc__)
    redis_set.add_options(options)
    options.add_argument(
        "--replicas", type=int, metavar="N", help="replicas that there should be (one less than the Sentinels)"
    )
    add_thresholds(options, "seconds since a replica was heard of", 10, 60)
    return options


if __name__ == "__main__":
    main(parser(), check)
