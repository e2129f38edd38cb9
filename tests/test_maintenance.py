"""Windows of maintenance as Nagios takes them."""

import pytest
from conftest import PROJECT, load

maintenance = load(PROJECT / "roles/nagios/filter_plugins/maintenance.py")

NIGHT = {"name": "night", "groups": ["web"], "weekdays": ["saturday", "sunday"], "start": "23:00", "end": "01:30"}
MOVE = {"name": "move", "hosts": ["data1"], "from": "2031-03-30 22:00", "until": "2031-04-02 04:00"}


def lines(window):
    """Return the lines of the periods of a window, by their names."""
    return {period["name"]: period["lines"] for period in maintenance.periods([window])}


@pytest.mark.parametrize(
    ("times", "begin", "end"),
    [
        (("23:00", "01:30"), ["23:00-24:00"], ["00:00-01:30"]),
        (("02:00", "03:30"), ["02:00-03:30"], []),
        (("23:00", "00:00"), ["23:00-24:00"], []),
        (("00:00", "24:00"), ["00:00-24:00"], []),
        (("02:00", "02:00"), ["02:00-24:00"], ["00:00-02:00"]),
    ],
)
def test_a_weekly_window_that_goes_past_midnight_ends_on_the_next_day(times, begin, end):
    found = lines(NIGHT | dict(zip(("start", "end"), times, strict=True)))
    assert found["night-begin"] == [f"{day:15} {one}" for day in ("saturday", "sunday") for one in begin]
    assert found["night-end"] == [f"{day:15} {one}" for day in ("sunday", "monday") for one in end]


def test_a_window_of_several_days_has_the_days_between():
    assert lines(MOVE) == {
        "move-begin": ["2031-03-30 22:00-24:00"],
        "move-end": ["2031-04-02 00:00-04:00"],
        "move-between": ["2031-03-31 - 2031-04-01 00:00-24:00"],
    }
    assert lines(MOVE | {"until": "2031-03-31 00:00"}) == {
        "move-begin": ["2031-03-30 22:00-24:00"],
        "move-end": [],
        "move-between": [],
    }
    assert lines(MOVE | {"until": "2031-03-30 23:00"})["move-begin"] == ["2031-03-30 22:00-23:00"]


def test_a_host_is_quiet_in_the_windows_that_name_it_or_its_group():
    quiet = {
        name: maintenance.quiet({"name": name, "groups": groups}, [NIGHT, MOVE])
        for name, groups in {"web1": ["web"], "data1": ["mongodb"], "lb1": ["balancer"]}.items()
    }
    assert quiet == {
        "web1": ["night-begin", "night-end"],
        "data1": ["move-begin", "move-end", "move-between"],
        "lb1": [],
    }
    assert maintenance.quiet({"name": "site", "groups": []}, [NIGHT | {"groups": ["all"]}])
