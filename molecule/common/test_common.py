"""The base of a host as those who log in to it, and the programs on it, meet it."""

import pytest

CERTIFICATE = "/tmp/authority.pem"


@pytest.fixture(scope="module")
def key(host):
    """Make a key pair on the host, and return the public half."""
    host.check_output("rm -f /tmp/key /tmp/key.pub && ssh-keygen -q -t ed25519 -N '' -f /tmp/key")
    return host.check_output("cat /tmp/key.pub")


@pytest.fixture(scope="module")
def authority(host):
    """Run a TLS server with a certificate of an authority of our own, and return the authority's certificate."""
    host.check_output(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        " -keyout /tmp/authority.key -out %s",
        CERTIFICATE,
    )
    host.check_output(
        "systemd-run --unit=tls --collect openssl s_server -quiet -accept 8443 -cert %s -key /tmp/authority.key -www",
        CERTIFICATE,
    )
    return host.check_output("cat %s", CERTIFICATE)


LOG_IN = "ssh -i /tmp/key -o StrictHostKeyChecking=no -o BatchMode=yes {options} {user}@127.0.0.1 {command}"


AGENT = """
for number in 1 2 3 4 5 6 7 8 9; do
    ssh-keygen -q -t ed25519 -N '' -f /tmp/other-key-$number
    ssh-add -q /tmp/other-key-$number
done
ssh-add -q /tmp/key
ssh -o StrictHostKeyChecking=no -o BatchMode=yes {user}@127.0.0.1 true
"""


def log_in_with_the_tenth_key(host, user):
    """Log in with an agent that offers nine other keys first."""
    host.check_output("rm -f /tmp/other-key-*")
    return host.run("ssh-agent sh -c %s", AGENT.format(user=user))


def log_in(host, user, command="true", options=""):
    """Log in to the host's SSH server with the key, and run a command."""
    return host.run(LOG_IN.format(options=options, user=user, command=command))


def banner(host):
    """Return what the SSH server shows before a login: the setting of the process that runs now."""
    return log_in(host, "nobody").stderr


def language(host):
    """Return the language that a login gets."""
    return host.check_output("grep LANG /etc/default/locale")


def trusts(host):
    """Return whether a program on the host trusts the TLS server."""
    program = (
        "import socket, ssl; ssl.create_default_context().wrap_socket("
        "socket.create_connection(('localhost', 8443)), server_hostname='localhost')"
    )
    return host.run("runuser -u nobody -- python3 -c %s", program).rc == 0


def test_an_admin_comes_in_with_a_key_and_becomes_root_and_a_former_one_does_not(host, converge, key):
    admins = [{"name": "ada", "keys": [key]}]
    # And the way back from a language other than English.
    english = {"common_locale": "C.UTF-8"}
    assert converge(english | {"common_admins": admins}).ok
    assert language(host) == "LANG=C.UTF-8"
    assert log_in(host, "ada", "sudo -n id -u").stdout.strip() == "0"
    assert log_in(host, "ada", options="-o PubkeyAuthentication=no").rc != 0
    assert log_in(host, "root").rc != 0
    tenth = log_in_with_the_tenth_key(host, "ada")
    assert tenth.rc == 0, tenth.stderr

    # A session that is open, and what it left running in the background.
    session = LOG_IN.format(options="", user="ada", command="'setsid sleep 600 & sleep 600'")
    host.check_output("systemd-run --unit session --collect sh -c %s", session)
    host.check_output("timeout 10 sh -c 'until test $(pgrep --count --uid ada sleep) = 2; do sleep 0.2; done'")
    assert converge(english | {"common_admins": [admins[0] | {"state": "absent"}]}).ok
    assert log_in(host, "ada").rc != 0
    assert not host.user("ada").exists
    assert host.run("pgrep sleep").rc == 1
    assert host.file("/home/ada").user == "root"


def test_passwords_are_not_asked_for(host):
    answer = host.run("ssh -o StrictHostKeyChecking=no -o PreferredAuthentications=none -o BatchMode=yes ada@127.0.0.1")
    assert "(publickey)" in answer.stderr


def test_a_certificate_authority_is_trusted_while_it_is_listed(host, converge, authority):
    assert not trusts(host)
    listed = {"common_ca_certificates": {"famigo": authority}}
    assert converge(listed, crash_after="Install certificate authorities").killed
    assert not trusts(host)
    assert converge(listed).ok
    assert trusts(host)
    assert converge().ok
    assert not trusts(host)


def test_a_run_killed_before_the_reload_is_repaired_by_the_next(host, converge):
    assert "/etc/shells" not in banner(host)
    changed = {"common_sshd_settings": {"Banner": "/etc/shells"}}
    assert converge(changed, crash_after="Configure the SSH server").killed
    assert "valid login shells" not in banner(host)
    assert converge(changed).ok
    assert "valid login shells" in banner(host)


@pytest.mark.parametrize(
    "settings",
    [{"PasswordAuthentification": True}, {"MaxAuthTries": "plenty"}],
    ids=lambda settings: next(iter(settings)),
)
def test_a_wrong_setting_of_the_ssh_server_is_never_loaded(host, converge, settings):
    before = banner(host)
    run = converge({"common_sshd_settings": settings})
    assert not run.ok
    assert "common_sshd_settings" in run.message
    assert next(iter(settings)) in run.message
    assert banner(host) == before
    host.check_output("sshd -t")


def test_a_setting_that_somebody_overrules_by_hand_is_named(host, run):
    host.check_output("echo MaxAuthTries 2 > /etc/ssh/sshd_config.d/00-by-hand.conf")
    try:
        overruled = run()
    finally:
        host.check_output("rm /etc/ssh/sshd_config.d/00-by-hand.conf")
    assert not overruled.ok
    assert "maxauthtries 20" in overruled.message
    assert not overruled.changed


def test_a_setting_that_stops_the_ssh_server_is_taken_back_even_if_a_run_was_killed_with_it(host, converge):
    """No check of the file finds that the address is another host's."""
    before = banner(host)
    fatal = {"common_sshd_settings": {"ListenAddress": "203.0.113.9"}}
    assert converge(fatal, crash_after="Configure the SSH server").killed
    run = converge(fatal)
    assert not run.ok
    assert "ListenAddress" in run.message
    assert banner(host) == before


@pytest.mark.parametrize(
    "settings", [{"AllowUsers": "nobody"}, {"permitrootlogin": True}], ids=["AllowUsers", "spelling"]
)
def test_settings_that_lock_out_or_have_no_effect_are_refused(run, settings):
    refused = run({"common_sshd_settings": settings})
    assert not refused.ok
    assert "common_sshd_settings" in refused.message
    assert not refused.changed


@pytest.mark.parametrize(
    "variables",
    [
        {"common_admins": [{"name": "ada", "keys": []}]},
        {"common_admins": [{"name": "root", "state": "absent"}]},
        {"common_admins": [{"name": "ada", "key": "ssh-ed25519 AAAA"}]},
        {"ansible_password": "a password"},
    ],
    ids=["no key", "own user", "misspelt key", "own password"],
)
def test_nobody_is_locked_out(run, variables):
    refused = run(variables)
    assert not refused.ok
    assert "common_admins" in refused.message
    assert not refused.changed


# In a container, only the parameters of its own network can be written, and systemd-sysctl has to be told so.
WRITABLE = """
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,rw /proc/sys/net
mkdir -p /usr/local/lib/systemd/system/systemd-sysctl.service.d
printf '[Unit]\nConditionPathIsReadWrite=\n' > /usr/local/lib/systemd/system/systemd-sysctl.service.d/container.conf
systemctl daemon-reload
systemctl start systemd-sysctl
"""


def test_a_kernel_parameter_that_somebody_changed_by_hand_is_put_back(host, converge):
    host.check_output(WRITABLE)
    assert host.check_output("sysctl -n net.ipv4.tcp_syncookies") == "1"
    host.check_output("sysctl -w net.ipv4.tcp_syncookies=0")
    assert converge().changed == {"host1": 1}
    assert host.check_output("sysctl -n net.ipv4.tcp_syncookies") == "1"
    assert not converge().changed


def test_time_language_and_journal_are_as_configured(host):
    assert host.check_output("date +%Z") in ("CET", "CEST")
    assert language(host) == "LANG=de_DE.UTF-8"
    assert host.check_output("LC_ALL=de_DE.UTF-8 date --date 2026-11-27 +%A") == "Freitag"
    host.check_output("ls /var/log/journal/*/system.journal")


def test_logs_are_rotated(host):
    assert host.check_output("systemctl is-active logrotate.timer") == "active"


def test_security_upgrades_run(host):
    assert host.check_output("systemctl is-active apt-daily-upgrade.timer") == "active"
    dump = host.check_output("apt-config dump")
    assert 'APT::Periodic::Unattended-Upgrade "1"' in dump
    assert 'Unattended-Upgrade::Automatic-Reboot "false"' in dump
    host.check_output("unattended-upgrade --dry-run")
