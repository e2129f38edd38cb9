"""lighttpd as a browser, a balancer and an application meet it."""

import json
from collections import Counter

import pytest
from as_sent import AS_SENT, NOT_HTTP, exchange

URL = "http://127.0.0.1"


def fetch(host, path, *options):
    """Return the status, the headers by lower-case name and the body of a request made with curl."""
    answer = host.check_output(f"curl --silent --include --path-as-is {' '.join(options)} '{URL}{path}'")
    head, _, body = answer.partition("\r\n\r\n" if "\r\n\r\n" in answer else "\n\n")
    first, *lines = head.splitlines()
    return int(first.split()[1]), {n.lower(): v.strip() for n, v in (line.split(":", 1) for line in lines)}, body


def page(host, path="/", *options):
    """Return what the application saw of a request."""
    status, _, body = fetch(host, path, *options)
    assert status == 200, body
    return json.loads(body)


def asked(host):
    """Return how many requests have reached the application, without one more."""
    return int(host.check_output("stat --format %s /run/site-state/asked"))


def under_load(host, command):
    """Run the command three times under a stream of requests and count the outcomes."""
    return Counter(json.loads(host.check_output(f"python3 /opt/site/load.py {command}")))


def pid(host):
    """Return the process that systemd knows as lighttpd."""
    return int(host.check_output("systemctl show --value --property MainPID lighttpd"))


def logged(host, text):
    """Wait until a line of the access log contains the text (it is written every few seconds), and return the line."""
    return host.check_output(
        f"timeout 20 sh -c \"until grep --fixed-strings '{text}' /var/log/lighttpd/access.log; do sleep 0.2; done\""
    )


def test_a_page_comes_from_the_application(host, variables):
    seen = page(host, "/game%20shelf/uno?players=4")
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"], seen["QUERY_STRING"]) == ("", "/game shelf/uno", "players=4")
    assert seen["REQUEST_METHOD"] == "GET"
    assert host.run(f"curl --silent --fail http://{variables('web1', 'address')}/healthz").succeeded


def test_listens_only_where_it_is_told_to(host, variables):
    listening = host.check_output("ss --no-header --listening --numeric --tcp '( sport = 80 )'").splitlines()
    assert {line.split()[3] for line in listening} == {"127.0.0.1:80", f"{variables('web1', 'address')}:80"}


def test_a_body_arrives_and_one_that_is_too_large_is_refused(host):
    host.check_output("head --bytes 65536 /dev/zero > /tmp/fits; head --bytes 65537 /dev/zero > /tmp/too-large")
    seen = page(host, "/", "--data-binary @/tmp/fits")
    assert (seen["REQUEST_METHOD"], len(seen["body"])) == ("POST", 65536)

    before = asked(host)
    assert fetch(host, "/", "--data-binary @/tmp/too-large")[0] == 413
    chunked = fetch(host, "/", "--data-binary @/tmp/too-large", "--header 'Transfer-Encoding: chunked'")
    assert chunked[0] == 413
    assert asked(host) == before


@pytest.fixture(scope="module")
def answers(host):
    """The answers to all requests of the table."""
    return dict(zip(map(str, AS_SENT), exchange(host, AS_SENT), strict=True))


@pytest.mark.parametrize("sent", AS_SENT, ids=str)
def test_the_application_gets_a_request_as_it_was_sent(answers, sent):
    status, _, answer = answers[str(sent)]
    assert status == 200, answer
    if sent.method == "HEAD":
        return
    seen = json.loads(answer)
    assert (seen["REQUEST_METHOD"], seen["REQUEST_URI"], seen["body"]) == (sent.method, sent.target, sent.body)
    assert seen["QUERY_STRING"] == sent.target.partition("?")[2]
    assert {name: seen["HTTP_" + name.upper().replace("-", "_")] for name in sent.headers} == sent.headers


def test_the_application_does_not_get_what_is_not_http(host):
    before = asked(host)
    statuses = [status for status, _, _ in exchange(host, NOT_HTTP.values())]
    assert dict(zip(NOT_HTTP, statuses, strict=True)) == dict.fromkeys(NOT_HTTP, 400) | {"a control character": 403}
    assert asked(host) == before


def test_static_files_are_cached_by_what_their_names_promise(host):
    before = asked(host)
    status, headers, _ = fetch(host, "/static/app.1a2b3c4d5e6f.css")
    assert status == 200
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["content-type"] == "text/css; charset=utf-8"
    assert "server" not in headers

    status, headers, _ = fetch(host, "/static/plain.css")
    assert (status, headers["cache-control"]) == (200, "max-age=300")
    etag = headers["etag"].replace('"', '\\"')
    assert fetch(host, "/static/plain.css", f'--header "If-None-Match: {etag}"')[0] == 304

    status, headers, body = fetch(host, "/static/plain.css", "--range 0-3")
    assert (status, body) == (206, "body")
    assert fetch(host, "/media/photo.txt")[2] == "a photo"
    assert asked(host) == before


def test_text_is_compressed_for_who_asks_and_pictures_are_not(host):
    for encoding in ("gzip", "br"):
        accept = f"--header 'Accept-Encoding: {encoding}'"
        headers = fetch(host, "/static/plain.css", accept, "--output /dev/null --dump-header -")[1]
        assert (headers["content-encoding"], headers["vary"]) == (encoding, "Accept-Encoding")
        assert int(headers["content-length"]) < 200
    assert "content-encoding" not in fetch(host, "/static/plain.css")[1]
    assert "content-encoding" not in fetch(host, "/static/logo.png", "--header 'Accept-Encoding: gzip, br'")[1]
    assert fetch(host, "/static/plain.css", "--compressed")[2].startswith("body { color: green }")


def test_what_was_compressed_is_kept_and_pruned_once_nobody_asks(host):
    count = "find /var/cache/lighttpd/static -type f | wc --lines"
    fetch(host, "/static/plain.css", "--compressed")
    assert int(host.check_output(count)) > 0
    host.check_output("find /var/cache/lighttpd/static -type f -exec touch --date '40 days ago' {} +")
    host.check_output("systemd-tmpfiles --clean --prefix /var/cache/lighttpd")
    assert int(host.check_output(count)) == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/static/missing.css", 404),
        ("/static/missing.1a2b3c4d5e6f.css", 404),
        ("/static/", 403),
        ("/static/folder/", 403),
        ("/static/.env", 403),
        ("/static/folder/..%2f.env", 403),
        ("/static//srv/site/beside.txt", 404),
        ("/static/%00", 404),
        ("/static/plain.css%00", 404),
    ],
)
def test_what_is_not_to_be_had_is_refused_without_the_application(host, path, status):
    before = asked(host)
    answer = fetch(host, path)
    assert answer[0] == status
    assert "cache-control" not in answer[1]
    assert asked(host) == before


@pytest.mark.parametrize(
    "way", ["../", "%2e%2e/", "..%2f", "folder/../../", ".%2e/", "..%5c", ".%00./", "?../", "folder%2f..%2f../"]
)
def test_no_way_leads_out_of_the_folder(host, way):
    for target in ("beside.txt", "../../etc/passwd"):
        body = fetch(host, f"/static/{way}{target}")[2]
        assert "not to be served" not in body
        assert "root:" not in body


def test_forwarded_addresses_are_believed_of_the_balancer_only(host):
    chain = "--header 'X-Forwarded-For: 192.0.2.1, 203.0.113.7, 198.51.100.9' --header 'X-Forwarded-Proto: https'"
    seen = page(host, "/from/balancer", chain, "--interface 127.0.0.5")
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("203.0.113.7", "https")
    seen = page(host, "/from/stranger", chain, "--interface 127.0.0.6")
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("127.0.0.6", "http")

    assert logged(host, "GET /from/balancer ").startswith("203.0.113.7 ")
    line = logged(host, "GET /from/stranger ")
    assert line.startswith("127.0.0.6 ")
    assert line.split()[-1].isdecimal()


def test_an_address_is_not_forwarded_by_default(host, converge):
    assert converge({"lighttpd_trusted_proxies": [], "lighttpd_compress": False, "lighttpd_access_log": False}).ok
    seen = page(host, "/", "--header 'X-Forwarded-For: 203.0.113.7'", "--interface 127.0.0.5")
    assert seen["REMOTE_ADDR"] == "127.0.0.5"
    assert "content-encoding" not in fetch(host, "/static/plain.css", "--header 'Accept-Encoding: gzip'")[1]


@pytest.mark.parametrize("command", ["restart site", "reload lighttpd", "restart lighttpd"])
def test_no_request_fails_while_a_daemon_changes_under_it(host, command):
    outcomes = under_load(host, f"systemctl {command}")
    assert set(outcomes) == {"200"}, outcomes
    assert outcomes["200"] > 100


def test_without_the_application_static_files_are_served_and_it_is_met_again(host):
    host.check_output("systemctl stop site.socket site.service")
    assert fetch(host, "/")[0] == 503
    assert fetch(host, "/static/plain.css")[0] == 200
    host.check_output("systemctl start site.socket")
    host.check_output(f"timeout 10 sh -c 'until curl --silent --fail {URL}; do sleep 0.2; done'")


def test_comes_back_after_its_process_is_killed(host):
    before = pid(host)
    host.check_output("systemctl kill --signal=KILL lighttpd")
    assert page(host)["REQUEST_METHOD"] == "GET"
    assert pid(host) not in (0, before)


def test_a_rotated_log_goes_on_in_a_new_file(host):
    assert host.check_output("systemctl is-active logrotate.timer") == "active"
    page(host, "/before-rotation")
    logged(host, "GET /before-rotation ")
    host.check_output("logrotate --force /etc/logrotate.d/lighttpd")
    page(host, "/after-rotation")
    logged(host, "GET /after-rotation ")
    assert not host.run("grep before-rotation /var/log/lighttpd/access.log").succeeded


def test_runs_without_privileges(host):
    lines = host.check_output(f"cat /proc/{pid(host)}/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert set(status["Uid"].split()) == {host.check_output("id --user www-data")}
    assert (status["CapBnd"], status["CapPrm"]) == ("0" * 16, "0" * 16)
    assert status["NoNewPrivs"] == "1"


def test_a_run_killed_before_the_reload_is_repaired_by_the_next(host, converge):
    before = pid(host)
    values = {"lighttpd_static_max_age": 600, "lighttpd_port": 81}
    assert converge(values, crash_after="Describe its units").killed
    assert fetch(host, "/static/plain.css")[1]["cache-control"] == "max-age=300"
    assert converge(values).ok
    assert fetch(host, ":81/static/plain.css")[1]["cache-control"] == "max-age=600"
    assert not host.run(f"curl --silent {URL}/").succeeded
    assert pid(host) != before


def test_settings_reach_lighttpd_as_they_are_written(host, converge):
    odd = 'it\'s "odd" $HTTP ${x} C:\\dir \\" #, (=>) end'
    before = pid(host)
    settings = {
        "setenv.add-response-header": {"X-Odd": odd, "X-Yes": "yes"},
        "server.max-request-field-size": 500,
        "url.redirect": {"^/old/(.*)": "/new/$1"},
        "index-file.names": ["index.html", 'in"dex'],
        "debug.log-timeouts": True,
    }
    run = converge({"lighttpd_modules": ["mod_redirect", "mod_indexfile"], "lighttpd_settings": settings})
    assert run.ok, run.output
    headers = fetch(host, "/")[1]
    assert (headers["x-odd"], headers["x-yes"]) == (odd, "yes")
    assert fetch(host, "/", f"--header 'X-Long: {'x' * 500}'")[0] == 431
    assert fetch(host, "/old/game")[1]["location"] == "/new/game"
    assert pid(host) == before


def test_bad_values_are_refused_and_the_service_stays_up(host, converge):
    before = pid(host)
    for values, named in (
        ({"lighttpd_port": 99999}, "lighttpd_port"),
        ({"lighttpd_max_request_size": "plenty"}, "lighttpd_max_request_size"),
        ({"lighttpd_listen_addresses": ["web1"]}, "lighttpd_listen_addresses"),
        ({"lighttpd_fastcgi_socket": "/tmp/site.socket"}, "lighttpd_fastcgi_socket"),
        ({"lighttpd_settings": {"server.tag": "ends with a \\"}}, "lighttpd_settings"),
        ({"lighttpd_settings": {"server.max-workers": 2}}, "server.max-workers"),
        ({"lighttpd_settings": {"server.max-connections": 2}}, "server.max-connections"),
        ({"lighttpd_static_hashed_names": "("}, "pcre"),
    ):
        run = converge(values)
        assert not run.ok
        assert named in run.message
        assert not run.changed
        assert page(host)["REQUEST_METHOD"] == "GET"
    assert pid(host) == before


def test_a_configuration_broken_by_hand_is_not_taken_over(host, converge):
    host.check_output("echo 'server.max-workers = 2' >> /etc/lighttpd/lighttpd.conf")
    assert not host.run("systemctl reload lighttpd").succeeded
    assert page(host)["REQUEST_METHOD"] == "GET"
    assert converge().ok
    assert host.run("systemctl reload lighttpd").succeeded
