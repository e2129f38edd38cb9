"""Mail as its senders and its relay see it: handed in on one host, and received by an SMTP server on another."""

import json
import time
from contextlib import contextmanager
from itertools import count

import pytest
from support import eventually

NAME = "web1.twin.example"
ROOT = {"ops@famigo.example", "ada@famigo.example"}
ARRIVAL_SECONDS = 60
CANARY = "CanaryInTheCoalMine"
NUMBERS = count(1)

SMTP = """
import smtplib, sys
sender, recipient, text = sys.argv[1:]
with smtplib.SMTP("127.0.0.1", 25, timeout=20) as server:
    server.sendmail(sender, recipient, text)
"""


def subject():
    """Return a subject that no other mail has."""
    return f"Mail number {next(NUMBERS)} of {time.time_ns()}"


def hand_in(host, recipient="root", *, user="root"):
    """Hand a mail to sendmail as a user of the host; return its subject."""
    text = f"Subject: {subject()}\nTo: {recipient}"
    host.check_output("printf '%%s\n\nSomething is wrong.\n' %s | runuser -u %s -- sendmail %s", text, user, recipient)
    return text.splitlines()[0]


def send(host, sender, recipient):
    """Send a mail by SMTP to the host's own port; return its subject."""
    text = f"Subject: {subject()}\nTo: {recipient}\n\nSomething is wrong.\n"
    host.check_output("python3 -c %s %s %s %s", SMTP, sender, recipient, text)
    return text.splitlines()[0]


class Relay:
    """The relay, and what it got."""

    def __init__(self, host):
        self.host = host

    def mails(self, text):
        """Return the mails that have the text in them and have arrived by now."""
        lines = self.host.check_output("cat /var/lib/sink/mails || true").splitlines()
        return [mail for mail in map(json.loads, lines) if text in mail["text"]]

    def wait(self, text, recipients=ROOT, seconds=ARRIVAL_SECONDS):
        """Wait until a mail has reached all its recipients; return it as it arrived, which it must have done once."""
        until = time.monotonic() + seconds
        while True:
            mails = self.mails(text)
            reached = [recipient for mail in mails for recipient in mail["recipients"]]
            if set(reached) >= set(recipients):
                assert sorted(reached) == sorted(recipients)
                return mails[0]
            assert time.monotonic() < until, f"{text} has reached {reached}"
            time.sleep(0.3)

    @contextmanager
    def in_a_mood(self, mood):
        """Have it answer differently for the length of a block."""
        self.host.check_output("echo %s > /run/sink/mood", mood)
        try:
            yield
        finally:
            self.host.check_output("rm /run/sink/mood")

    @contextmanager
    def down(self):
        """Have it be away for the length of a block."""
        self.host.check_output("systemctl stop sink")
        try:
            yield
        finally:
            self.host.check_output("systemctl start sink")


@pytest.fixture(scope="module")
def relay(hosts):
    return Relay(hosts["relay1"])


def queue(host):
    """Return why each mail waits in the host's queue."""
    mails = [json.loads(line) for line in host.check_output("postqueue -j").splitlines()]
    return [recipient.get("delay_reason", "") for mail in mails for recipient in mail["recipients"]]


def wait_in_queue(host, reason):
    """Wait until some mail is in the queue, and all that is there for the reason."""
    eventually(lambda: (reasons := queue(host)) and all(reason in one for one in reasons))


def listening(host):
    """Return the addresses on which the host takes mail."""
    return host.check_output("ss --no-header --listening --numeric --tcp '( sport = 25 )' | awk '{print $4}'").split()


def master(host):
    """Return the process that systemd knows as Postfix."""
    return int(host.check_output("systemctl show postfix --value --property MainPID"))


@pytest.mark.parametrize(
    ("user", "recipient"),
    [
        ("root", "root"),
        ("www-data", "www-data"),
        ("www-data", "someone.who.left@localhost"),
        ("root", f"Nobody+at.all@{NAME}"),
    ],
)
def test_mail_for_anybody_on_the_host_goes_to_the_people_behind_root(host, relay, user, recipient):
    mail = relay.wait(hand_in(host, recipient, user=user))
    assert mail["sender"] == f"{user}@{NAME}"
    assert host.check_output("find /var/mail -type f -size +0") == ""


def test_mail_by_smtp_gets_the_name_of_the_host(host, relay):
    mail = relay.wait(send(host, "monit@localhost", "root@localhost"))
    assert mail["sender"] == f"monit@{NAME}"
    assert f"\nTo: root@{NAME}\n" in f"\n{mail['text']}"
    assert "\nDate: " in mail["text"]


def test_the_host_itself_sends_to_anybody(host, relay):
    mail = relay.wait(send(host, "shop@famigo.example", "customer@elsewhere.example"), {"customer@elsewhere.example"})
    assert mail["sender"] == "shop@famigo.example"


def test_nobody_else_reaches_the_port(hosts, variables):
    program = "import socket, sys; socket.create_connection((sys.argv[1], 25), timeout=5)"
    answer = hosts["relay1"].run("python3 -c %s %s", program, variables("web1", "address"))
    assert "ConnectionRefusedError" in answer.stderr
    assert set(listening(hosts["web1"])) <= {"127.0.0.1:25", "[::1]:25"}


def test_mail_waits_while_the_relay_is_away_and_outlives_a_killed_postfix(host, relay):
    with relay.down():
        sent = [hand_in(host), send(host, "monit@localhost", "root@localhost")]
        wait_in_queue(host, "Connection refused")
        before = master(host)
        host.check_output("kill -KILL %s", str(before))
        eventually(lambda: master(host) not in (0, before))
        eventually(lambda: host.run("systemctl is-active postfix").succeeded)
        sent.append(send(host, "monit@localhost", "root@localhost"))
        assert not any(relay.mails(one) for one in sent)
    for one in sent:
        relay.wait(one)
    eventually(lambda: not queue(host))


def test_an_alert_outlives_a_relay_that_refuses_it_and_other_mail_comes_back_once(host, relay):
    with relay.in_a_mood("refuse"):
        alert = hand_in(host)
        other = send(host, "www-data@localhost", "customer@elsewhere.example")
        # The alert, and what became of the other: a report to root.
        eventually(
            lambda: len(queue(host)) == 2 * len(ROOT) and all("Relay access denied" in one for one in queue(host))
        )
    relay.wait(alert)
    report = relay.wait(other)
    assert report["sender"] in ("", "<>", None)
    assert "customer@elsewhere.example" in report["text"]
    eventually(lambda: not queue(host))


def test_a_relay_with_tls_and_a_password(host, relay, converge, variables):
    password = variables("web1", "relay_password")
    settings = {
        "mail_relay_host": variables("web1", "relay_name"),
        "mail_relay_port": 587,
        "mail_relay_tls": "verified",
        "mail_relay_ca": "/etc/ssl/relay.pem",
        "mail_relay_user": variables("web1", "relay_user"),
        "mail_relay_password": password,
    }

    def told(**other):
        run = converge(settings | other, limit="web1", diff=True, verbosity=3)
        assert run.ok, run.output
        return run.output

    output = told()
    mail = relay.wait(hand_in(host))
    assert (mail["port"], mail["tls"], mail["user"]) == (587, True, settings["mail_relay_user"])
    assert host.check_output("grep --recursive --files-with-matches --fixed-strings %s /etc", password).split() == [
        "/etc/postfix/relay-password"
    ]
    assert host.file("/etc/postfix/relay-password").mode == 0o600

    output += told(mail_relay_password=CANARY)
    sent = hand_in(host)
    wait_in_queue(host, "authentication failed")
    output += told(mail_relay_port=588)
    wait_in_queue(host, "not verified")
    assert not relay.mails(sent)
    output += told(mail_relay_port=588, mail_relay_tls="required")
    mail = relay.wait(sent)
    assert (mail["port"], mail["tls"]) == (588, True)
    assert json.dumps(password)[1:-1] not in output
    assert password not in output
    assert CANARY not in output


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"mail_root": []}, "mail_root is []"),
        ({"mail_root": ["ops"]}, 'mail_root is ["ops"]'),
        ({"mail_root": [f"root@{NAME.upper()}"]}, "mail_root is"),
        ({"mail_domain": "twin example"}, "mail_domain is 'twin example'"),
        ({"mail_relay_tls": "verified"}, "mail_relay_host must be a name"),
        ({"mail_relay_user": "ops", "mail_relay_password": CANARY}, "mail_relay_tls must be required or verified"),
        ({"mail_settings": {"relayhost": "other.example"}}, "It does not take those that have a variable"),
        ({"mail_settings": {"relayhots": "other.example"}}, "unused parameter: relayhots"),
        ({"mail_settings": {"smtp_connect_timeout": "long"}}, "bad time value or unit: long"),
        ({"mail_settings": {"smtpd_client_restrictions": "permit_nonsense"}}, "permit_nonsense"),
        ({"mail_relay_ca": "/etc/ssl/nothing.pem"}, "no such file"),
    ],
)
def test_a_bad_value_is_refused_and_postfix_stays_as_it_is(host, run, values, complaint):
    before = master(host), host.check_output("sha256sum /etc/postfix/*.cf")
    refused = run(values, limit="web1", diff=True, verbosity=3)
    assert not refused.ok
    assert complaint.lower() in refused.message.lower()
    assert not refused.changed
    assert CANARY not in refused.output
    assert (master(host), host.check_output("sha256sum /etc/postfix/*.cf")) == before


def test_a_run_killed_before_the_reload_is_repaired_by_the_next(host, relay, converge):
    relay.wait(hand_in(host))
    settings = {"mail_root": ["night@famigo.example"]}
    assert converge(settings, limit="web1", crash_after="Write the configuration").killed
    repaired = converge(settings, limit="web1")
    assert repaired.ok, repaired.output
    assert repaired.changed == {"web1": 1}
    relay.wait(hand_in(host), {"night@famigo.example"})


RAZE = """
systemctl stop postfix
apt-get purge --yes postfix
rm -rf /etc/postfix /var/spool/postfix /var/lib/postfix /etc/systemd/system/postfix* /usr/local/sbin/mail-check
echo PURGE | debconf-communicate postfix
systemctl daemon-reload
"""


def test_a_half_built_host_listens_to_nobody_and_is_completed(host, relay, converge):
    host.check_output(RAZE)
    assert converge(limit="web1", crash_after="Install Postfix").killed
    # As if it had been switched off and on.
    host.check_output("systemctl start postfix")
    assert listening(host) == []
    built = converge(limit="web1")
    assert built.ok, built.output
    relay.wait(hand_in(host))


def test_a_host_that_had_postfix_before_is_taken_over(host, relay, converge):
    host.check_output(f"{RAZE} DEBIAN_FRONTEND=noninteractive apt-get install --yes postfix")
    assert "0.0.0.0:25" in listening(host)
    taken = converge(limit="web1")
    assert taken.ok, taken.output
    assert set(listening(host)) <= {"127.0.0.1:25", "[::1]:25"}
    relay.wait(hand_in(host))
