"""Nagios as the one who gets its mails, the one who looks at its page, and the hosts that it watches meet it."""

import json
import re
import time

import pytest
from support import eventually

CANARY = "CanaryInTheCoalMine"
OK, WARNING, CRITICAL, UNKNOWN = 2, 4, 16, 8
UP, DOWN = 2, 4
# See nagios_reminder.
REMINDED_SECONDS = 90


class Sentinel:
    """The sentinel, through its web page and the mails that it sends."""

    def __init__(self, hosts, variables):
        self.host = hosts["sentinel1"]
        self.url = f"https://{variables('sentinel1', 'address')}"
        self.logins = variables("sentinel1", "nagios_users") | variables("sentinel1", "nagios_reporters")

    def fetch(self, path="/", *options, user="ada", password=None):
        """Return the status and the body of a page."""
        login = ["--user", f"{user}:{password or self.logins[user]}"] if user else []
        command = "curl --silent --insecure --max-time 10 --write-out '\\n%%{http_code}'" + " %s" * (
            len(login + [*options]) + 1
        )
        body, _, status = self.host.check_output(command, *login, *options, self.url + path).rpartition("\n")
        return int(status), body

    def ask(self, query):
        """Return what one of the JSON pages answers, once Nagios has written down what it knows after a start."""

        def answer():
            body = self.fetch(f"/cgi-bin/nagios4/{query}")[1]
            return body.strip() and json.loads(body)["data"]

        return eventually(answer)

    def states(self):
        """Return the state of every service: 'service on host' to a number."""
        found = self.ask("statusjson.cgi?query=servicelist")["servicelist"]
        return {f"{name} on {host}": state for host, services in found.items() for name, state in services.items()}

    def hosts(self):
        """Return the state of every host."""
        return self.ask("statusjson.cgi?query=hostlist")["hostlist"]

    def unwell(self):
        """Return what is not well, but for the heartbeat, for which nobody cares most of the time."""
        services = {name: state for name, state in self.states().items() if state != OK and "heartbeat" not in name}
        return services | {name: state for name, state in self.hosts().items() if state != UP}

    def pid(self):
        """Return the process's number."""
        return self.host.check_output("systemctl show --value --property MainPID nagios4")


@pytest.fixture(scope="module")
def sentinel(hosts, variables):
    found = Sentinel(hosts, variables)
    eventually(lambda: not found.unwell())
    return found


@pytest.fixture
def told(mails, sentinel):
    """Return the subjects of the mails but for the heartbeat's. After the test all must be well again."""
    yield lambda: [subject for subject in mails.subjects() if "heartbeat" not in subject]
    eventually(lambda: not sentinel.unwell())


@pytest.fixture
def warned(told, mails, hosts, variables):
    """Have a queue warn from before the test until after it, when that must have been mailed."""
    password = variables("sentinel1", "nagios_credentials")["redis"]["password"]
    redis = f"redis-cli --no-auth-warning --user nagios --pass {password}"
    hosts["web1"].check_output(f"{redis} lpush celery $(seq 150)")
    yield
    try:
        _, seconds = mails.wait("WARNING", "queue", "length", "web1")
    finally:
        hosts["web1"].check_output(f"{redis} del celery")
    print(f"seconds from warning to mail: {seconds:.1f}")
    assert "WARNING: queue length on web1" in told()
    mails.wait("OK", "again", "queue", "length")


def test_everything_that_the_variables_name_is_watched_and_well(sentinel, variables):
    services = ["nrpe", "zombies"]
    on_web = [
        *services,
        "failed_units",
        "bare",
        "page",
        "door",
        "cache",
        "queue",
        "ssh",
        "shop",
        "till",
        "queue length",
        "queue set",
        "front page",
    ]
    expected = {f"{name} on sentinel1" for name in services} | {f"{name} on web1" for name in on_web}
    assert set(sentinel.states()) == expected | {"heartbeat outside on site"}
    assert sentinel.hosts() == {"sentinel1": UP, "web1": UP, "site": UP}

    web = sentinel.ask("objectjson.cgi?query=host&hostname=web1")["host"]
    assert web["parent_hosts"] == ["sentinel1"]
    groups = sentinel.ask("objectjson.cgi?query=hostgrouplist&details=true")["hostgrouplist"]
    assert {name: group["members"] for name, group in groups.items()} == {
        "all": ["sentinel1", "web1"],
        "sentinel": ["sentinel1"],
        "shops": ["web1"],
        "web": ["web1"],
    }
    assert "shop" in sentinel.ask("objectjson.cgi?query=servicegrouplist")["servicegrouplist"]


PAGES = [
    "/",
    "/nagios4/",
    "/nagios4/map.php",
    "/cgi-bin/nagios4/status.cgi",
    "/metrics/web1",
    "/heartbeat/outside",
    "/nowhere",
]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_shown_without_a_login(sentinel, page):
    assert sentinel.fetch(page, user=None)[0] == 401
    assert sentinel.fetch(page, password="guess")[0] == 401


def test_a_user_sees_the_pages_and_the_map(sentinel):
    status, body = sentinel.fetch("/", "--location")
    assert status == 200
    assert "side.php" in body
    for page in (
        "/nagios4/main.php",
        "/nagios4/map.php",
        "/nagios4/stylesheets/common.css",
        "/cgi-bin/nagios4/tac.cgi",
    ):
        status, body = sentinel.fetch(page)
        assert status == 200
        assert "<?php" not in body
    assert "web1" in sentinel.fetch("/cgi-bin/nagios4/status.cgi?host=all")[1]
    assert sentinel.fetch("/nagios4/includes/utils.inc.php")[0] == 403


def test_the_page_speaks_tls_only_and_no_old_one(sentinel):
    assert sentinel.host.run("curl --silent --max-time 5 %s", sentinel.url.replace("https", "http") + ":443").rc != 0
    assert sentinel.host.run("curl --silent --insecure --tls-max 1.1 %s", sentinel.url).rc == 35
    command = "ss --no-header --listening --tcp --numeric 'sport = 80 or sport = 443'"
    assert [line.split()[3] for line in sentinel.host.check_output(command).splitlines()] == [sentinel.url[8:] + ":443"]


def test_a_reporter_reads_metrics_and_sends_heartbeats_and_no_more(sentinel):
    status, body = sentinel.fetch("/metrics/web1", user="outside")
    assert (status, body.splitlines()[0]) == (200, "up 1")
    # The login does not reach the server of the metrics.
    assert "Basic" not in body
    for page in ("/", "/nagios4/", "/cgi-bin/nagios4/cmd.cgi"):
        assert sentinel.fetch(page, user="outside")[0] == 401
    assert sentinel.fetch("/metrics/other", user="outside")[0] == 403
    assert sentinel.fetch("/heartbeat/other", "--data", "", user="outside")[0] == 403
    assert sentinel.fetch("/heartbeat/outside", user="outside")[0] == 405


def test_silence_is_an_alarm(sentinel):
    def state():
        return sentinel.states()["heartbeat outside on site"]

    assert sentinel.fetch("/heartbeat/outside", "--data", "", user="outside")[0] == 204
    eventually(lambda: state() == OK)
    eventually(lambda: state() == CRITICAL)


def test_an_operator_can_give_commands_on_the_page(sentinel):
    form = sentinel.fetch("/cgi-bin/nagios4/cmd.cgi?cmd_typ=1&host=web1", "--cookie-jar", "/tmp/cookies")[1]
    token = re.search(r"name=.nagFormId. value=.(\w+)", form, re.IGNORECASE)
    data = f"cmd_typ=1&cmd_mod=2&host=web1&com_data=moved+to+row+7&btnSubmit=Commit&nagFormId={token[1]}"
    status, body = sentinel.fetch("/cgi-bin/nagios4/cmd.cgi", "--cookie", "/tmp/cookies", "--data", data)
    assert (status, "successfully submitted" in body) == (200, True), body

    def comments():
        found = sentinel.ask("statusjson.cgi?query=commentlist&details=true")["commentlist"]
        return [(one["author"], one["comment_data"]) for one in found.values()]

    eventually(lambda: ("ada", "moved to row 7") in comments())


def test_the_secrets_are_for_those_who_need_them(sentinel):
    for user, unreadable in {
        "www-data": ["web.pem", "nrpe.pem", "credentials.json"],
        "nagios": ["web.pem", "users"],
        "nobody": ["web.pem", "nrpe.pem", "credentials.json", "users"],
    }.items():
        for file in unreadable:
            assert sentinel.host.run(
                "setpriv --reuid=%s --regid=%s --clear-groups cat /etc/nagios4/%s",
                user,
                "nogroup" if user == "nobody" else user,
                file,
            ).failed, (user, file)


@pytest.mark.usefixtures("warned")
def test_a_dead_service_is_mailed_once_then_to_more_people_if_it_lasts_and_its_recovery_to_all(hosts, mails, told):
    def of_shop():
        return [subject for subject in told() if "shop" in subject]

    hosts["web1"].check_output("systemctl kill --signal=KILL shop; systemctl stop shop")
    mail, seconds = mails.wait("CRITICAL", "shop", "web1")
    print(f"seconds from fault to mail: {seconds:.1f}")
    assert (mail["sender"], mail["recipients"]) == ("nagios@localhost", ["root@localhost"])
    said = dict(re.findall(r"^(\w[\w ]*): +(.+)$", mail["text"], re.MULTILINE))
    assert said["Host"].startswith("web1 (")
    assert (said["Service"], said["Expected"]) == ("shop", "the unit shop is active")
    assert said["Seen"] in ("inactive", "failed")
    assert "journalctl --unit shop" in said["Look at"]
    assert said["Since"] < said["Sent"]

    eventually(lambda: len(of_shop()) == 3, seconds=REMINDED_SECONDS)
    hosts["web1"].check_output("systemctl start shop")
    eventually(lambda: len(of_shop()) == 5)
    critical, again = "CRITICAL: shop on web1", "OK again: shop on web1"
    root, boss = ["root@localhost"], ["boss@games.example"]
    told_of = [(mail["subject"], mail["recipients"]) for mail in mails.all() if mail["subject"] in of_shop()]
    assert told_of[0] == (critical, root)
    assert sorted(told_of[1:3]) == [(f"{critical} (reminder 1)", boss), (f"{critical} (reminder 1)", root)]
    assert sorted(told_of[3:]) == [(again, boss), (again, root)]


def test_a_service_that_comes_back_soon_is_not_mailed(sentinel, hosts, told):
    hosts["web1"].check_output("systemctl stop backend")
    # Each of these asks it at times of its own, and the first one to fail may be well ahead of the others.
    eventually(lambda: CRITICAL in [sentinel.states()[f"{name} on web1"] for name in ("page", "door")])
    hosts["web1"].check_output("systemctl start backend")
    eventually(lambda: not sentinel.unwell())
    assert told() == []


def test_a_dead_host_is_mailed_once_and_none_of_its_services(sentinel, mails, told, unplugged):
    with unplugged("web1"):
        mail, seconds = mails.wait("DOWN", "web1")
        print(f"seconds from fault to mail: {seconds:.1f}")
        assert "answers a ping" in mail["text"]
        time.sleep(12)
    eventually(lambda: not sentinel.unwell())
    assert told() == ["DOWN: web1", "OK again: web1"]


def test_an_nrpe_that_hangs_is_mailed_once(sentinel, hosts, told):
    hosts["web1"].check_output("systemctl kill --kill-who=all --signal=STOP nagios-nrpe-server")
    eventually(told)
    eventually(lambda: sentinel.states()["shop on web1"] == sentinel.states()["zombies on web1"] == UNKNOWN)
    time.sleep(10)
    assert told() == ["CRITICAL: nrpe on web1"]
    hosts["web1"].check_output("systemctl kill --kill-who=all --signal=CONT nagios-nrpe-server")
    eventually(lambda: "OK again: nrpe on web1" in told())


def stop_the_shop_unnoticed(sentinel, hosts, told):
    """Stop a service, wait until Nagios is sure that it is critical, and see that nobody is told."""
    hosts["web1"].check_output("systemctl stop shop")
    eventually(
        lambda: (
            sentinel.ask("statusjson.cgi?query=service&hostname=web1&servicedescription=shop")["service"]["state_type"]
            == 1
            and sentinel.states()["shop on web1"] == CRITICAL
        )
    )
    time.sleep(6)
    assert told() == []


def test_a_downtime_keeps_quiet_until_it_is_ended(sentinel, hosts, told):
    said = sentinel.host.check_output("nagios-downtime 600 web1 nowhere")
    assert "nowhere" in said
    stop_the_shop_unnoticed(sentinel, hosts, told)
    # It outlives a restart.
    sentinel.host.check_output("systemctl restart nagios4")
    time.sleep(6)
    assert told() == []
    sentinel.host.check_output("nagios-downtime --end web1")
    eventually(lambda: told() == ["CRITICAL: shop on web1"])
    hosts["web1"].check_output("systemctl start shop")
    eventually(lambda: len(told()) == 2)


def test_a_downtime_that_has_ended_does_not_come_back_with_a_nagios_that_was_killed(sentinel):
    def planned():
        return sentinel.ask("statusjson.cgi?query=downtimecount")["count"]

    sentinel.host.check_output("nagios-downtime 600 web1")
    eventually(lambda: planned() > 0)
    sentinel.host.check_output("nagios-downtime --end web1")
    eventually(lambda: planned() == 0)
    pid = sentinel.pid()
    sentinel.host.check_output("systemctl kill --signal=KILL nagios4")
    eventually(lambda: sentinel.pid() not in ("0", pid))
    # What the page says is what the new process knows.
    eventually(
        lambda: str(sentinel.ask("statusjson.cgi?query=programstatus")["programstatus"]["nagios_pid"]) == sentinel.pid()
    )
    assert planned() == 0


def test_a_downtime_never_fails_for_a_nagios_that_is_stopped(sentinel):
    sentinel.host.check_output("systemctl stop nagios4")
    assert "not running" in sentinel.host.check_output("nagios-downtime 60 web1")
    assert "not running" in sentinel.host.check_output("nagios-downtime --end web1")
    sentinel.host.check_output("systemctl start nagios4")


def test_nothing_is_mailed_in_a_maintenance_window_and_a_host_that_leaves_is_gone(sentinel, hosts, converge, told):
    now = time.gmtime()
    yesterday, tomorrow = (time.strftime("%Y-%m-%d 12:00", time.gmtime(time.time() + days * 86400)) for days in (-1, 1))
    weekly = {
        "name": "weekly",
        "hosts": ["site"],
        "weekdays": [time.strftime("%A", now).lower()],
        "start": "00:00",
        "end": "24:00",
    }
    window = {"name": "move", "groups": ["web"], "from": yesterday, "until": tomorrow}
    assert converge(
        {"nagios_maintenance": [window, weekly]}, crash_after="Write the hosts, services and contacts"
    ).killed
    pid = sentinel.pid()
    done = converge({"nagios_maintenance": [window, weekly]})
    assert done.ok, done.output
    assert sentinel.pid() != pid
    stop_the_shop_unnoticed(sentinel, hosts, told)
    hosts["web1"].check_output("systemctl start shop")

    alone = [{"name": "sentinel1", "address": "127.0.0.1", "groups": ["sentinel"]}]
    without = {"nagios_site_checks": [], "nagios_host_checks": {"zombies": "all"}, "nagios_maintenance": []}
    done = converge(without | {"nagios_hosts": alone})
    assert done.ok, done.output
    eventually(lambda: set(sentinel.hosts()) == {"sentinel1", "site"})


def test_objects_that_nagios_refuses_leave_the_old_ones_at_work(sentinel, run, variables):
    pid = sentinel.pid()
    circle = json.loads(json.dumps(variables("sentinel1", "nagios_hosts")))
    circle[0]["parents"] = ["web1"]
    refused = run({"nagios_hosts": circle})
    assert not refused.ok
    assert "circular" in refused.message.lower()
    sentinel.host.check_output("systemctl restart nagios4")
    eventually(lambda: not sentinel.unwell())
    assert sentinel.pid() != pid


SHOP = {"name": "shop", "group": "web"}
NIGHT = {"name": "night", "hosts": ["web1"], "weekdays": ["monday"], "start": "02:00", "end": "03:30"}
MOVE = {"name": "move", "hosts": ["web1"], "from": "2031-12-01 02:00", "until": "2031-12-02 02:00"}


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        (
            "nagios_services",
            [SHOP | {"port": 1, "protocol": "gopher"}],
            "value of protocol must be one of: http, https, memcached, mongodb, redis, ssh, tcp, got: gopher found in"
            " nagios_services",
        ),
        (
            "nagios_services",
            [SHOP | {"protocol": "tcp"}],
            "missing parameter(s) required by 'protocol': port found in nagios_services",
        ),
        (
            "nagios_services",
            [SHOP | {"port": 1, "protocol": "http", "content": "it's"}],
            """nagios_services['shop'].content is "it's"; it takes a text of one line without single quotes""",
        ),
        (
            "nagios_hosts",
            [{"name": "web1", "address": "10.0.0.1", "groups": ["web"], "parents": ["web2"]}],
            "nagios_hosts['web1'].parents is ['web2']; it takes a list, each of web1, site.",
        ),
        (
            "nagios_contacts",
            {"root": "root@localhost", "ada": {}},
            "nagios_contacts['ada'].email is {}; it takes a mail address.",
        ),
        (
            "nagios_contacts",
            {"ada": "at home"},
            "nagios_contacts['ada'].email is 'at home'; it takes a mail address.",
        ),
        (
            "nagios_maintenance",
            [NIGHT | {"start": 120}],
            "nagios_maintenance['night'].start is 120; it takes a time of the day in quotation marks",
        ),
        (
            "nagios_maintenance",
            [MOVE | {"from": "2031-13-01 02:00"}],
            "nagios_maintenance['move'].from is '2031-13-01 02:00'; it takes a moment,",
        ),
        (
            "nagios_maintenance",
            [MOVE | {"until": "2031-11-30 02:00"}],
            "'until': '2031-11-30 02:00'}; it takes from and a later until.",
        ),
        (
            "nagios_maintenance",
            [MOVE | NIGHT],
            "parameters are mutually exclusive: weekdays|from found in nagios_maintenance",
        ),
        (
            "nagios_maintenance",
            [NIGHT | {"weekdays": ["mondays"]}],
            "value of weekdays must be one or more of: monday, tuesday, wednesday, thursday, friday, saturday, sunday."
            " Got no match for: mondays found in nagios_maintenance",
        ),
        ("nagios_escalation", {"after": 1, "contacts": ["root"]}, "nagios_escalation"),
        (
            "nagios_host_checks",
            {"zombies": "nobody"},
            "nagios_host_checks['zombies'].group is 'nobody'; it takes one of all, sentinel, shops, web.",
        ),
        ("nagios_users", {"ada": CANARY[:5]}, "nagios_users['ada'].password takes a text of 8 to 72 bytes"),
        ("nagios_certificate", CANARY, "nagios_certificate must hold a certificate in PEM"),
    ],
)
def test_a_bad_value_is_refused_by_name_before_anything_changes(run, variable, value, complaint):
    secrets = {"nagios_users": {"ada": CANARY}, "nagios_credentials": {"redis": {"user": "nagios", "password": CANARY}}}
    refused = run(secrets | {variable: value}, diff=True, verbosity=3)
    assert not refused.ok
    assert complaint in refused.message
    assert not refused.changed
    assert CANARY not in refused.output


def test_new_secrets_are_taken_over_and_not_told(sentinel, hosts, converge):
    done = converge(
        {
            "nagios_users": {"ada": CANARY},
            "nagios_credentials": {"redis": {"user": "nagios", "password": f"{CANARY}2"}},
        },
        diff=True,
        verbosity=3,
    )
    assert done.ok, done.output
    assert CANARY not in done.output
    assert sentinel.fetch("/nagios4/", password=CANARY)[0] == 200
    assert sentinel.fetch("/nagios4/")[0] == 401


def test_comes_back_after_its_processes_are_killed(sentinel):
    sentinel.host.check_output("systemctl kill --signal=KILL nagios4 nagios-web")
    eventually(lambda: sentinel.host.run("curl --silent --insecure --max-time 5 %s", sentinel.url).rc == 0)
    eventually(lambda: not sentinel.unwell())
