#!/usr/bin/python3
"""Look at a replica set of MongoDB: its primary, its majority, its members, and how far they are behind.

Critical: no primary, no majority, or a secondary that is too far behind. Warning: a member that is missing. The
login needs the role clusterMonitor.
"""

import argparse

from plugin import CRITICAL, OK, WARNING, Report, Unknown, add_login, add_thresholds, endpoints, grade, login, main

PRIMARY, SECONDARY, ARBITER = 1, 2, 7


def status_of(members, user, password, timeout):
    """Return what the first member that answers says of the set, and why the others did not."""
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure, PyMongoError

    reasons = []
    for host, port in members:
        client = MongoClient(
            host,
            port,
            username=user,
            password=password,
            directConnection=True,
            serverSelectionTimeoutMS=int(timeout * 1000),
            connectTimeoutMS=int(timeout * 1000),
            socketTimeoutMS=int(timeout * 1000),
        )
        try:
            return client.admin.command("replSetGetStatus"), reasons
        except OperationFailure as error:
            # Not of the member: the login is wrong, or there is no set yet.
            reasons.append(f"{host}: {error.details.get('codeName', 'refused') if error.details else 'refused'}")
        except PyMongoError as error:
            reasons.append(f"{host}: {type(error).__name__}")
        finally:
            client.close()
    return None, reasons


def judge(status, reasons, options):
    """Turn the set's own view of itself into a report."""
    report = Report()
    if status is None:
        refused = [
            reason for reason in reasons if not reason.endswith(("Timeout", "TimeoutError", "AutoReconnect", "Failure"))
        ]
        if refused:
            raise Unknown("; ".join(refused))
        report.say(CRITICAL, f"no member answers ({'; '.join(reasons)})")
        return report

    members = status["members"]
    well = [member for member in members if member["health"] == 1 and member["state"] in (PRIMARY, SECONDARY, ARBITER)]
    primaries = [member for member in well if member["state"] == PRIMARY]
    if primaries:
        report.say(OK, f"primary {primaries[0]['name']}")
    else:
        report.say(CRITICAL, "no primary: nothing can be written")
    # One vote for each member, as the role mongodb sets them.
    if len(well) <= len(members) // 2:
        report.say(CRITICAL, f"{len(well)} of {len(members)} members are no majority")
    for member in members:
        if member not in well:
            report.say(WARNING, f"{member['name']} is {member['stateStr']}")
    if len(members) < len(options.members):
        report.say(WARNING, f"{len(members)} members instead of {len(options.members)}")

    behind = 0
    for member in well:
        if primaries and member["state"] == SECONDARY:
            lag = max(0, (primaries[0]["optimeDate"] - member["optimeDate"]).total_seconds())
            behind = max(behind, lag)
            if state := grade(lag, options.warning, options.critical):
                report.say(state, f"{member['name']} is {lag:.0f} s behind")
    report.say(OK, f"{len(well)} of {len(members)} members are well")
    report.figure("members", len(well))
    report.figure("lag", f"{behind:.0f}", "s", options.warning, options.critical)
    return report


def check(options):
    """Look at the set."""
    return judge(*status_of(options.members, *login(options.credentials, options.login), options.timeout), options)


def parser():
    """Return the parser of the options."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--members", type=endpoints, required=True, help="host:port,host:port")
    options.add_argument("--timeout", type=float, default=4, metavar="SECONDS", help="of one member (%(default)s)")
    add_login(options, "mongodb")
    add_thresholds(options, "seconds that a secondary is behind", 30, 120)
    return options


if __name__ == "__main__":
    main(parser(), check)
