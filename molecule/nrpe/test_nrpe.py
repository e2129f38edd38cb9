"""NRPE as the sentinel, a stranger and a failing service meet it."""

import json

import pytest
from support import eventually

CHECK = "/usr/lib/nagios/plugins/check_nrpe -H %s"
LOGINS = {
    name: f" -S TLSv1.2+ -C /root/{name}.pem -K /root/{name}.pem -A /root/{name}.pem" for name in ("nrpe", "stranger")
}
LOGIN = LOGINS["nrpe"]
CANARY = "CanaryInTheCoalMine"
SHOP = {"name": "shop", "unit": "shop"}


@pytest.fixture(scope="module")
def ask(hosts, variables):
    """Ask the first host for a command, as the sentinel does, and return the exit code and what was said."""

    def run(command=None, *, on="sentinel1", login=LOGIN, more=""):
        line = CHECK + login + (" -c %s" if command else "") + more
        done = hosts[on].run(line, variables("web1", "address"), *([command] if command else []))
        return done.rc, done.stdout.strip()

    return run


def test_every_standard_command_answers_with_figures(ask):
    commands = ["load", "swap", "disk", "procs", "zombies", "mail_queue", "clock", "reboot_required", "failed_units"]
    answers = {command: ask(command) for command in commands}
    assert {
        command: answer for command, answer in answers.items() if answer[0] not in (0, 1) or "|" not in answer[1]
    } == {}
    assert answers["failed_units"][0] == answers["mail_queue"][0] == 0
    assert ask("echo") == (0, "two words")


def test_only_the_certificate_of_all_opens(ask):
    assert ask() == (0, "NRPE v4.1.0")
    strangers = {
        "no certificate": ask("load", login=""),
        "another certificate": ask("load", login=LOGINS["stranger"]),
        "no TLS": ask("load", login=" -n"),
        "an old TLS": ask("load", login=LOGIN.replace("TLSv1.2+", "TLSv1.1")),
    }
    assert {who: code for who, (code, said) in strangers.items() if code == 0 or "load" in said.lower()} == {}


def test_the_sentinel_demands_the_certificate_too(hosts, variables, ask):
    half = " -C /root/nrpe.pem -K /root/nrpe.pem -A /root/stranger.pem"
    assert ask("load", login=half)[0] != 0


def test_another_host_gets_no_answer(ask):
    code, said = ask("load", on="web1")
    assert code != 0
    assert "load average" not in said


def test_arguments_are_not_taken(ask):
    code, said = ask("echo", more=" -a three")
    assert code != 0
    assert "words" not in said


def test_a_unit_that_fails_is_critical_and_told_once(host, ask):
    assert ask("service_shop") == (0, "active")
    assert ask("service_mail") == (0, "three words")
    host.check_output("systemctl kill --signal=KILL shop")
    assert ask("service_shop") == (2, "failed")
    assert ask("failed_units")[0] == 0
    host.check_output("systemctl start shop")
    host.run("systemd-run --unit=other false")
    eventually(lambda: ask("failed_units")[0] == 2)
    assert "other.service" in ask("failed_units")[1]
    host.check_output("systemctl reset-failed other")


def test_mail_that_waits_is_seen(host, ask):
    host.check_output("postconf -e relayhost=[127.0.0.1]:9 && postfix reload")
    host.check_output("printf 'Subject: one\\n\\none\\n' | sendmail -f root@example.com somebody@example.com")
    eventually(lambda: all(words in ask("mail_queue")[1] for words in ("1 mails wait", "refused")))
    host.check_output("postsuper -d ALL")


def test_a_reboot_that_waits_is_a_warning(host, ask):
    host.check_output("echo linux-image > /run/reboot-required.pkgs; touch /run/reboot-required")
    code, said = ask("reboot_required")
    host.check_output("rm /run/reboot-required*")
    assert code == 1
    assert "linux-image" in said


def test_nothing_that_it_runs_gets_a_capability(host, converge, ask):
    assert converge({"nrpe_commands": {"powers": "/usr/bin/grep CapBnd /proc/self/status"}}, limit="web1").ok
    assert ask("powers")[1].split() == ["CapBnd:", "0" * 16]


def test_a_run_killed_before_the_restart_is_repaired_by_the_next(converge, ask):
    limits = {"nrpe_limits": {"procs": {"warning": 1, "critical": 900}}}
    assert converge(limits, limit="web1", crash_after="Write the commands and the unit").killed
    assert ask("procs")[0] == 0
    assert converge(limits, limit="web1").ok
    assert ask("procs")[0] == 1


def test_bad_values_are_refused_by_name_before_anything_changes(host, run, ask, variables):
    pid = host.check_output("systemctl show --value --property MainPID nagios-nrpe-server")
    for values, complaint in (
        (
            {"nrpe_limits": {"disk": {"warning": "a lot", "critical": 5}}},
            "argument 'warning' is of type str found in 'nrpe_limits -> disk'.",
        ),
        (
            {"nrpe_limits": {"disk": {"warning": 5, "critical": 10}}},
            "nrpe_limits.disk is {'warning': 5, 'critical': 10}; it takes percentages, critical less than warning.",
        ),
        (
            {"nrpe_limits": {"load": {"warning": 5}, "procs": {"critical": 1}}},
            "nrpe_limits.procs is {'warning': 500, 'critical': 1}; it takes numbers from 0 on, warning less than"
            " critical.",
        ),
        (
            {"nrpe_limits": {"dsik": {"warning": 5, "critical": 1}}},
            "nrpe_limits.dsik. Supported parameters include: clock, disk,",
        ),
        ({"nrpe_allowed_hosts": ["everybody"]}, "nrpe_allowed_hosts"),
        (
            {"nrpe_services": [{"name": "shop", "unit": "shop; reboot"}]},
            "nrpe_services['shop'].unit is 'shop; reboot'; it takes the name of a systemd unit.",
        ),
        ({"nrpe_services": [SHOP, SHOP]}, "nrpe_services has several entries called shop."),
        ({"nrpe_services": [{"name": "shop"}]}, "missing required arguments: unit found in nrpe_services"),
        ({"nrpe_commands": {"load": "/bin/true"}}, "nrpe_commands"),
        (
            {"nrpe_commands": {"echo": "true"}},
            "nrpe_commands['echo'].command is 'true'; it takes a command line that begins with the path of a program.",
        ),
        ({"nrpe_certificate": CANARY}, "nrpe_certificate"),
    ):
        refused = run(values, limit="web1", diff=True, verbosity=3)
        assert not refused.ok, json.dumps(values)
        assert complaint in refused.message
        assert not refused.changed
        assert CANARY not in refused.output

    # The certificate of one with the key of another.
    crossed = "\n".join(
        host.check_output(f"cat /root/{name}.pem").split("-----BEGIN PRIVATE KEY")[part]
        for name, part in (("nrpe", 0), ("stranger", 1))
    ).replace("\n\n", "\n-----BEGIN PRIVATE KEY", 1)
    refused = run({"nrpe_certificate": crossed}, limit="web1")
    assert not refused.ok
    assert "nrpe_certificate has a private key that is not the certificate's" in refused.message
    assert not refused.changed
    assert host.check_output("systemctl show --value --property MainPID nagios-nrpe-server") == pid
    assert ask()[0] == 0


def test_comes_back_after_its_process_is_killed(host, ask):
    host.check_output("systemctl kill --signal=KILL nagios-nrpe-server")
    eventually(lambda: ask()[0] == 0)
