"""A site as its web server meets it, through deployments good and bad."""

import json
import time
from contextlib import contextmanager

import pytest

HOME = "/srv/tiny"


def client(host, action, argument, user="www-data"):
    """Run the scenario's FastCGI client as the web server's user."""
    return host.run("runuser -u %s -- python3 /opt/client.py %s %s", user, action, argument)


def get(host, path):
    """Return the status and the body of a page."""
    done = client(host, "get", path)
    assert done.succeeded, done.stderr
    return json.loads(done.stdout)


def home(host):
    """Return what the site's home page tells of its process."""
    status, body = get(host, "/")
    assert status == "200 OK"
    return json.loads(body)


def releases(hosts):
    """Return the names of the releases that answer."""
    return [home(host)["release"] for host in hosts.values()]


def notes(host):
    """Return the lines that the project's command left on the host."""
    return host.run("cat /var/lib/tiny/notes").stdout.splitlines()


@contextmanager
def stream(host):
    """Ask from four clients at a time for as long as the block lasts; yield the answers, counted, once it is over."""
    host.check_output("rm -f /run/stop /run/answers")
    host.check_output(
        "systemd-run --quiet --unit=stream --uid=www-data --property=StandardOutput=file:/run/answers"
        " python3 /opt/client.py stream /run/stop"
    )
    answers = {}
    try:
        yield answers
    finally:
        host.check_output("touch /run/stop")
        host.check_output("timeout 60 sh -c 'until test -s /run/answers; do sleep 0.2; done'")
        answers.update(json.loads(host.check_output("cat /run/answers")))


def test_a_page_sees_the_environment_exactly(hosts, variables):
    for name, host in hosts.items():
        page = home(host)
        wanted = {key: str(value) for key, value in variables(name, "django_environment").items()}
        assert {key: page["environment"].get(key) for key in wanted} == wanted
        assert page["folder"].startswith(f"{HOME}/releases/")
        assert page["style"] == "/static/tiny.46adc756ac5d.css"
        assert host.file(f"{HOME}{page['style']}").mode & 0o044


def test_a_page_sees_the_path_and_the_query_as_they_were_sent(host):
    status, body = get(host, "/sent//a%0Ab/../%C3%A9/%252f?next=/x?y=%0A")
    assert (status, json.loads(body)) == ("200 OK", {"path": "/sent//a\nb/../é/%2f", "query": "next=/x?y=%0A"})


def test_only_the_web_server_may_connect(host):
    assert client(host, "get", "/", user="www-data").succeeded
    refused = client(host, "get", "/", user="nobody")
    assert refused.failed
    assert "PermissionError" in refused.stderr


def test_secrets_are_for_root_and_the_site_alone(host):
    file = host.file("/etc/tiny/environment")
    assert (file.user, file.group, file.mode) == ("root", "tiny", 0o640)
    assert host.file("/etc/tiny/pip.conf").mode == 0o600
    assert host.run("runuser -u www-data -- cat /etc/tiny/environment").failed


def test_the_site_can_write_into_its_own_folder_only(host):
    assert home(host)["user"] == host.user("tiny").uid != 0
    assert host.user("tiny").shell == "/usr/sbin/nologin"
    for folder in ("static", "current", "current/source", "current/manifest", "current/virtualenv"):
        assert get(host, f"/write?folder={HOME}/{folder}")[0] == "403 Forbidden"
    assert get(host, "/write?folder=/var/lib/tiny") == ["200 OK", "written"]


def test_the_unit_is_as_it_should_be(host):
    verified = host.run("systemd-analyze verify tiny.service")
    assert (verified.rc, verified.stderr) == (0, "")


def test_the_commands_ran_once_for_all_hosts(hosts):
    assert [notes(host) for host in hosts.values()] == [["one: of two words"], []]


def test_an_operator_runs_a_command_as_the_site_does(host):
    assert host.check_output("tiny-manage diffsettings").count("canary in the coal mine") == 1
    assert host.run("tiny-manage note fail").rc == 1


def test_restarts_under_load_lose_nothing(host):
    with stream(host) as answers:
        for _ in range(3):
            host.check_output(
                "systemd-run --quiet --unit=slow --uid=www-data --remain-after-exit --property=Type=exec"
                " --property=StandardOutput=file:/run/slow python3 /opt/client.py get /slow"
            )
            time.sleep(0.5)
            host.check_output("systemctl restart tiny")
            host.check_output("timeout 10 sh -c 'until test -s /run/slow; do sleep 0.2; done'")
            assert json.loads(host.check_output("cat /run/slow")) == ["200 OK", "one"]
            host.check_output("systemctl stop slow; rm /run/slow")
    assert answers.keys() == {"200 OK one"}
    assert answers["200 OK one"] > 100


def test_an_idle_site_stops_by_itself_and_starts_for_a_request(host):
    host.check_output("systemctl stop tiny.service")
    assert host.check_output("systemctl show tiny --property Result --value") == "success"
    assert home(host)["release"] == "one"


@pytest.mark.parametrize("whom", ["main", "all"])
def test_comes_back_after_its_processes_are_killed(host, whom):
    host.check_output("systemctl kill --signal=KILL --kill-whom=%s tiny", whom)
    assert home(host)["release"] == "one"


def test_a_killed_worker_is_replaced(host):
    for _ in range(4):
        host.check_output("kill -KILL %s", str(home(host)["pid"]))
    assert home(host)["release"] == "one"


def test_deployments_under_load_lose_nothing_and_keep_what_is_needed_to_go_back(hosts, host, converge):
    noted = len(notes(host))
    with stream(host) as answers:
        assert converge({"django_version": "v2"}).ok
        assert releases(hosts) == ["two", "two"]
        assert converge({"django_version": "v3"}).ok
        assert releases(hosts) == ["three", "three"]
        assert notes(host)[noted:] == ["two: of two words", "three: of two words"]
        assert len(host.file(f"{HOME}/releases").listdir()) == 2

        back = converge({"django_version": "v2"})
        assert back.ok
        assert "Unpack the source" not in back.output
    assert answers.keys() == {"200 OK one", "200 OK two", "200 OK three"}
    assert len(host.file(f"{HOME}/virtualenvs").listdir()) == 1


BAD = {
    "no-such-version": "django_version: file:///srv/git/tiny.git has no branch and no tag no-such-version",
    "0" * 40: "django_version: " + "0" * 40,
    "broken": "No module named 'an_engine_that_is_missing'",
    "unready": "It said: ERROR:root:No engine. ERROR:django.request:Service Unavailable: /readyz one /readyz of",
    "unready-live": "tiny runs unready-live now, and is not well. It was put back on",
    "dead-live": "RuntimeError: no life without ***",
    "wrong-hash": "THESE PACKAGES DO NOT MATCH THE HASHES",
    "without-flup": "The requirements of the project do not contain flup.",
}


def test_a_bad_release_is_refused_and_the_old_one_goes_on(hosts, host, converge):
    current = host.file(f"{HOME}/current").linked_to
    noted = len(notes(host))
    for version, message in BAD.items():
        limit = None if version == "unready-live" else "web1"
        run = converge({"django_version": version, "django_commands": []}, limit=limit)
        assert not run.ok, version
        assert message in run.message, run.output
        assert releases(hosts) == ["one", "one"], version
        assert host.file(f"{HOME}/current").linked_to == current, version
    assert len(notes(host)) == noted

    run = converge({"django_wsgi": "tiny.wsgi:missing"}, limit="web1")
    assert not run.ok
    assert "The WSGI callable tiny.wsgi:missing can't be loaded." in run.message
    host.check_output("systemctl restart tiny")
    assert home(host)["release"] == "one"

    run = converge({"django_repository": "file:///srv/git/none.git"}, limit="web1")
    assert not run.ok
    assert "django_repository: file:///srv/git/none.git can't be read: fatal:" in run.message


def test_a_command_that_fails_stops_the_deployment_and_tells_no_secret(hosts, host, converge):
    commands = ["note first", "note fail", "note last"]
    noted = len(notes(host))
    run = converge({"django_version": "v2", "django_commands": commands}, diff=True, verbosity=3)
    assert not run.ok
    assert "django_commands: note fail of v2 failed" in run.message
    assert "told to fail, with *** and '***'" in run.message
    assert "canary" not in run.output and "gale" not in run.output
    assert notes(host)[noted:] == ["two: first"]
    assert releases(hosts) == ["one", "one"]


def test_a_bad_environment_is_refused_and_a_good_one_outlives_a_killed_run(hosts, host, variables, converge):
    def environment(secret):
        return {"django_environment": variables("web1", "django_environment") | {"SECRET_KEY": secret}}

    run = converge(environment("refused, said the raven"), diff=True, verbosity=3)
    assert not run.ok
    assert "django_environment: v1 does not work with it" in run.message
    assert "ValueError: SECRET_KEY must not be ***" in run.message
    assert "raven" not in run.output
    host.check_output("systemctl restart tiny")
    assert home(host)["environment"]["SECRET_KEY"] == "canary in the coal mine"

    changed = environment("a magpie that steals")
    assert converge(changed, crash_after="Configure the environment").killed
    assert home(host)["environment"]["SECRET_KEY"] == "canary in the coal mine"
    run = converge(changed, diff=True, verbosity=3)
    assert run.ok
    assert "magpie" not in run.output
    assert [home(host)["environment"]["SECRET_KEY"] for host in hosts.values()] == ["a magpie that steals"] * 2


def test_a_run_killed_between_the_link_and_the_restart_is_repaired_by_the_next(hosts, host, converge):
    assert converge({"django_version": "v2"}, crash_after="Point the link at the release", limit="web1").killed
    assert home(host)["release"] == "one"
    assert converge({"django_version": "v2"}, limit="web1").ok
    assert releases(hosts) == ["two", "one"]


def test_what_a_killed_run_left_half_made_is_made_anew(hosts, host, converge):
    version = {"django_version": "other-requirements"}
    assert converge(version, crash_after="Install the requirements", limit="web1").killed
    for folder in host.file(f"{HOME}/virtualenvs").listdir():
        if not host.file(f"{HOME}/virtualenvs/{folder}/ready").exists:
            host.check_output("rm -r %s", f"{HOME}/virtualenvs/{folder}/bin")
    host.check_output("rm -r %s/repository/objects %s/repository/whole", HOME, HOME)
    assert converge(version, limit="web1").ok
    assert len(host.file(f"{HOME}/virtualenvs").listdir()) == 2


def test_a_dry_run_tells_of_a_new_version_and_a_prepared_commit_needs_no_repository(host, converge):
    run = converge({"django_version": "v3"}, check=True, diff=True, limit="web1")
    assert run.ok, run.output
    assert run.changed

    commit = host.check_output("cat %s/release", HOME)
    run = converge({"django_version": commit, "django_repository": "file:///srv/git/none.git"}, limit="web1")
    assert run.ok, run.output
    assert not run.changed


def test_deploys_over_ssh_with_a_key_from_a_known_server_only(host, converge):
    host.check_output("apt-get install --yes --no-install-recommends openssh-server git")
    host.check_output("test -f /root/key || ssh-keygen -q -t ed25519 -N '' -f /root/key")
    host.check_output("mkdir -p /root/.ssh && cp /root/key.pub /root/.ssh/authorized_keys && systemctl start ssh")
    server = " ".join(host.check_output("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
    stranger = " ".join(host.check_output("cat /root/key.pub").split()[:2])
    secret = host.check_output("cat /root/key")
    ssh = {
        "django_repository": "ssh://root@localhost/srv/git/tiny.git",
        "django_version": "v3",
        "django_deploy_key": secret,
    }

    run = converge(ssh | {"django_known_hosts": [f"localhost {stranger}"]}, limit="web1")
    assert not run.ok
    assert "django_repository: ssh://root@localhost/srv/git/tiny.git can't be read" in run.message
    assert "Host key verification failed" in run.message

    run = converge(ssh | {"django_known_hosts": [f"localhost {server}"]}, limit="web1", diff=True, verbosity=3)
    assert run.ok, run.output
    assert home(host)["release"] == "three"
    assert not any(line in run.output for line in secret.splitlines()[1:-1])


def test_the_socket_changes_hands(host, converge):
    assert converge({"django_socket_group": "daemon"}, limit="web1").ok
    assert host.file("/run/tiny/tiny.socket").group == "daemon"
    assert client(host, "get", "/", user="daemon").succeeded
    assert client(host, "get", "/", user="www-data").failed


def test_bad_settings_are_refused_before_anything_changes(host, converge):
    for variable, value in [
        ("django_site", "games"),
        ("django_repository", "https://user:password@example.org/site.git"),
        ("django_workers", 0),
        ("django_wsgi", "tiny.wsgi"),
        ("django_environment", {"TWO": "first\nsecond"}),
        ("django_environment", {"DEBUG": False}),
        ("django_environment", {"STATIC_ROOT": "/elsewhere"}),
    ]:
        run = converge({variable: value}, limit="web1")
        assert not run.ok, (variable, value)
        assert variable in run.message
        assert not run.changed, (variable, value)
    assert home(host)["release"] == "one"
