"""What the tests of values take and refuse."""

import pytest
from conftest import PROJECT, load
from test_certificates import certificate

TESTS = load(PROJECT / "plugins/test/values.py").TESTS

TAKEN = {
    "certificates": [certificate(), certificate() * 2],
    "command": ["/bin/true", "/bin/echo two words"],
    "entry_name": ["a", "redis_sentinel", "web.2", "_x", "best-friends"],
    "host": ["web1", "a.example", "10.0.0.1", "fd00::1"],
    "host_header": ["a.example", "a.example:8080", "10.0.0.1"],
    "host_name": ["web1", "a-b.example", "x" * 63],
    "http_url": ["http://a.example/", "https://10.0.0.1:8443/x?y=1", "https://[fd00::1]/"],
    "https_url": ["https://a.example/"],
    "ip_address": ["10.0.0.1", "::1", "fd00::1"],
    "login_name": ["ada", "b@c.example"],
    "mail_address": ["root@localhost", "a.b+c@games.example"],
    "metrics_path": ["web1", "http://127.0.0.1:9100/metrics"],
    "moment": ["2031-12-01 02:00"],
    "network": ["10.0.0.1", "10.0.1.0/24", "fd00::/8", "fd00::1"],
    "percentage": [0.5, 99],
    "port": [1, 65535],
    "positive": [1, 0.5],
    "one_line": ["a", "a 'b' c"],
    "quotable": ["Uno; and $more"],
    "regexp": ["Welcome", "^[a-z]+$"],
    "server": ["localhost:25", "10.0.0.1:25", "[fd00::1]:25"],
    "time_of_day": ["00:00", "24:00"],
    "title": ["front page"],
    "url_path": ["/", "/a/b?c=d"],
    "unit_name": ["redis-server", "door@443.service", "a:b"],
}
REFUSED = {
    "certificates": ["", "-----BEGIN CERTIFICATE-----"],
    "command": ["", "true", "/", "/bin/true\n/bin/false"],
    "entry_name": ["", ".hidden", "-e", "a b", "a/b", "a\n"],
    "host": ["", "a b", "10.0.0.1/8"],
    "host_header": ["", "a.example:", "a b"],
    "host_name": ["", "a_b", "-a", "a..b", "x" * 64, "fd00::1", ".".join(["x" * 60] * 5), "a\n"],
    "http_url": [
        "a.example",
        "ftp://a.example/",
        "http://u:p@a.example/",
        "http:///x",
        "http://a.example:0/",
        "http://a:b/",
    ]
    + [f"http://a.example/{character}" for character in " \"'\\{}<>$%\n"],
    "https_url": ["http://a.example/"],
    "ip_address": ["256.0.0.1", "10.0.0.1/8", "everybody", "1"],
    "login_name": ["", "a b", "a:b", 'a"b'],
    "mail_address": ["nobody", "@a.example", "a@", "a b@c", "a@b@c", "a;b@c", "a@b\n"],
    "metrics_path": ["a/b", "https://127.0.0.1:9100/metrics"],
    "moment": ["2031-13-01 02:00", "2031-12-01", "2031-12-01 2:00", 20311201],
    "network": ["198.18.0.256/x", "10.0.0.0/33", "nowhere"],
    "one_line": ["", "a\nb"],
    "quotable": ["", "it's", "a\\b", "a\nb"],
    "regexp": ["", "("],
    "percentage": [0, 100, "10 %", True],
    "port": [0, 65536, "80", True, 80.0],
    "positive": [0, -1, "2 s", True],
    "server": ["localhost", "localhost:", "localhost:0", "localhost:x", "fd00::1", "[web1]:25", ":25"],
    "time_of_day": [120, "25:00", "1:30", "12:60"],
    "title": ["", " a", "a;b"],
    "url_path": ["", "a", "/a b", "/'"],
    "unit_name": ["", "a b", "shop; reboot"],
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_fits_is_taken(name):
    assert [value for value in TAKEN[name] if not TESTS[name](value)] == []


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name):
    values = [*REFUSED[name], None, [], {}]
    assert [value for value in values if TESTS[name](value)] == []


def test_a_list_is_one_whose_elements_all_fit():
    for test, argument in (("list_of", "network"), ("some_of", ["10.0.0.1", "fd00::/8"])):
        assert TESTS[test]([], argument)
        assert TESTS[test](["10.0.0.1", "fd00::/8"], argument)
        assert [value for value in (["10.0.0.1", "x"], "10.0.0.1", None) if TESTS[test](value, argument)] == []


def test_a_secret_is_of_one_line_and_not_too_short():
    assert [value for value in ("12345678", "a b\"'\\#\u00e9") if not TESTS["secret"](value, 8)] == []
    refused = ["1234567", " 12345678", "12345678 ", "1234\n5678", "a" * 73, "\u00e9" * 37, 12345678]
    assert [value for value in refused if TESTS["secret"](value, 8)] == []


def test_a_number_is_within_its_range_and_no_text():
    assert TESTS["within"](5, 1, 5)
    assert [value for value in (0, 6, 1.5, "5", True, None) if TESTS["within"](value, 1, 5)] == []


def test_the_critical_threshold_is_worse_than_the_warning():
    assert TESTS["rising"]({"warning": 1, "critical": 2})
    assert TESTS["falling"]({"warning": 10, "critical": 5})
    assert not TESTS["rising"]({"warning": 2, "critical": 2})
    assert not TESTS["rising"]({"warning": -1, "critical": 2})
    assert not TESTS["falling"]({"warning": 5, "critical": 10})
    assert not TESTS["falling"]({"warning": 101, "critical": 10})


def test_a_moment_is_earlier_than_another():
    assert TESTS["in_order"]({"from": "2031-03-30 22:00", "until": "2031-03-31 02:00"}, "from", "until")
    assert TESTS["in_order"]({"start": "22:00"}, "from", "until")
    assert not TESTS["in_order"]({"from": "2031-03-30 22:00", "until": "2031-03-30 22:00"}, "from", "until")


def test_a_mistake_names_the_variable_the_entry_and_what_it_takes_and_tells_no_secret():
    mistakes = load(PROJECT / "plugins/filter/mistakes.py").mistakes
    users = [{"name": "a b", "port": 0, "password": "canary ", "groups": ["web", "wbe"]}, {"name": "ada", "port": 1}]
    tests = {"name": "entry_name", "port": "port", "password": ["secret", 1], "groups": ["some_of", ["web", "db"]]}
    assert mistakes([*users, {"name": "ada"}], "users", **tests) == [
        "users['a b'].name is 'a b'; it takes a name of letters, digits, '_', '.' and '-'.",
        "users['a b'].port is 0; it takes a port, from 1 to 65535.",
        "users['a b'].password takes a text of 1 to 72 bytes, of one line that neither begins nor ends with a space.",
        "users['a b'].groups is ['web', 'wbe']; it takes a list, each of web, db.",
        "users has several entries called ada.",
    ]
    door = {"url": "http://a/", "names": "web"}
    assert mistakes(door, "door", url="https_url", names=["list_of", "network"]) == [
        "door.url is 'http://a/'; it takes an https URL, without a login and what needs quotes.",
        "door.names is 'web'; it takes a list, each element an address or a network of IPv4 or IPv6.",
    ]
    assert mistakes({"door_port": 0}, door_port="port") == ["door_port is 0; it takes a port, from 1 to 65535."]
    assert mistakes([{"name": "load", "warning": 2, "critical": 1}], "limits", whole="rising") == [
        "limits['load'] is {'name': 'load', 'warning': 2, 'critical': 1}; it takes numbers from 0 on, warning less"
        " than critical."
    ]
