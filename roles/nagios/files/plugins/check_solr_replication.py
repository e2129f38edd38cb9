#!/usr/bin/python3
"""Compare the followers of a core of Solr with its leader: the version of the index, and the number of documents.

Critical: no member answers, or a follower is too far behind or has none of the leader's documents. Warning: a member
that does not answer. The first of the members is the leader. --login may read /replication, and --search-login may
search; of what they may not, nothing is said.
"""

import argparse
import base64
import json
import time
from http.client import HTTPConnection, HTTPException

from plugin import CRITICAL, OK, WARNING, Report, Unknown, add_login, add_thresholds, endpoints, grade, login, main


def get(host, port, path, user, password, timeout):
    """Return the answer to a request, or nothing if this login may not have it."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Authorization": f"Basic {token}"})
        answer = connection.getresponse()
        if answer.status == 401:
            raise Unknown("Solr refuses the login")
        if answer.status == 403:
            return None
        if answer.status != 200:
            raise OSError(f"answered {answer.status}")
        return json.load(answer)
    finally:
        connection.close()


def look(options, replication, search):
    """Return for each member its index version and number of documents, or the exception that it raised."""
    found = {}
    for host, port in options.members:
        try:
            version = get(
                host,
                port,
                f"/solr/{options.core}/replication?command=indexversion&wt=json",
                *replication,
                options.timeout,
            )
            count = get(host, port, f"/solr/{options.core}/select?q=*:*&rows=0&wt=json", *search, options.timeout)
        except (OSError, HTTPException, ValueError) as error:
            found[host] = error
            continue
        if version is None and count is None:
            raise Unknown("the logins may neither read /replication nor search")
        found[host] = {
            "version": version and version["indexversion"],
            "documents": count and count["response"]["numFound"],
        }
    return found


def judge(found, options, now):
    """Turn the answers into a report."""
    report = Report()
    silent = {host: error for host, error in found.items() if isinstance(error, Exception)}
    for host, error in silent.items():
        report.say(WARNING, f"{host} does not answer ({str(error) or type(error).__name__})")
    if len(silent) == len(found):
        report.say(CRITICAL, f"no member has the core {options.core}")
        return report

    (leader, ahead), *followers = found.items()
    behind = 0
    if leader in silent:
        report.say(WARNING, "there is no leader to compare with")
    else:
        for host, answer in followers:
            if host in silent:
                continue
            # The version is the time of the leader's commit, in milliseconds: from then on the follower is late.
            if answer["version"] is not None and answer["version"] != ahead["version"]:
                lag = max(0, now - ahead["version"] / 1000)
                behind = max(behind, lag)
                report.say(grade(lag, options.warning, options.critical), f"{host} lacks a commit of {lag:.0f} s ago")
            if ahead["documents"] and answer["documents"] == 0:
                report.say(CRITICAL, f"{host} has none of {ahead['documents']} documents")
        report.say(OK, f"{len(found) - len(silent)} of {len(found)} members answer")
        if ahead["documents"] is not None:
            report.say(OK, f"{ahead['documents']} documents")
            report.figure("documents", ahead["documents"])
    report.figure("lag", f"{behind:.0f}", "s", options.warning, options.critical)
    return report


def check(options):
    """Look at the core."""
    logins = [login(options.credentials, name) for name in (options.login, options.search_login or options.login)]
    return judge(look(options, *logins), options, time.time())


def parser():
    """Return the parser of the options."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--members", type=endpoints, required=True, help="host:port,host:port, the leader first")
    options.add_argument("--core", required=True)
    options.add_argument("--timeout", type=float, default=4, metavar="SECONDS", help="of one answer (%(default)s)")
    add_login(options, "solr")
    options.add_argument("--search-login", metavar="LOGIN", help="name of the login that searches (that of --login)")
    add_thresholds(options, "seconds that a follower lacks a commit of the leader", 120, 600)
    return options


if __name__ == "__main__":
    main(parser(), check)
