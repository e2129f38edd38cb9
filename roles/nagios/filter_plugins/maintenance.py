"""Turn windows of maintenance into periods of Nagios.

A period of Nagios has one line of a kind, each within a day: a window that goes past midnight, or over several days,
takes several.
"""

from __future__ import annotations

from datetime import date, timedelta

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def weekly(window):
    """Return the lines of a window that comes each week, by the part of the window."""
    start, end = window["start"], window["end"]
    after = [DAYS[(DAYS.index(day) + 1) % 7] for day in window["weekdays"]] if "00:00" < end <= start else []
    return {
        "begin": [f"{day:15} {start}-{end if end > start else '24:00'}" for day in window["weekdays"]],
        "end": [f"{day:15} 00:00-{end}" for day in after],
    }


def once(window):
    """Return the lines of a window that comes once, by the part of the window."""
    (first, start), (last, end) = window["from"].split(), window["until"].split()
    after, before = date.fromisoformat(first) + timedelta(1), date.fromisoformat(last) - timedelta(1)
    return {
        "begin": [f"{first} {start}-{end if first == last else '24:00'}"],
        "end": [f"{last} 00:00-{end}"] if first != last and end != "00:00" else [],
        "between": [f"{after} - {before} 00:00-24:00"] if before >= after else [],
    }


def periods(windows):
    """Return the periods that the windows are, each with its ``name`` and ``lines``, some without any."""
    return [
        {"name": f"{window['name']}-{part}", "window": window["name"], "lines": lines}
        for window in windows
        for part, lines in (weekly(window) if "weekdays" in window else once(window)).items()
    ]


def quiet(host, windows):
    """Return the names of the periods in which nothing of a host is mailed."""
    groups = {*host["groups"], "all"}
    return [
        period["name"]
        for window in windows
        if host["name"] in window.get("hosts", []) or groups.intersection(window.get("groups", []))
        for period in periods([window])
    ]


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Return the filters by their names."""
        return {"periods": periods, "quiet": quiet}
