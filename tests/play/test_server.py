"""The server: it answers its own page, refuses all else, and lives."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from play.messages import SETTING
from play.servers import ask, open_socket, raw, request, running
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tinygrad_ce.play import server as module
from tinygrad_ce.play.messages import MAX_BYTES
from tinygrad_ce.play.server import BURST, MAX_TABS
from tinygrad_ce.play.session import Session

pytestmark = pytest.mark.slow

OPEN = {"part": "session", "do": "open"}


@pytest.fixture(scope="module")
def server():
    with running() as found:
        yield found


@pytest.fixture(autouse=True)
def it_lives(request):
    """Whatever a test has sent, the page is served and a session answers."""
    yield
    server = request.getfixturevalue("server") if "server" in request.fixturenames else None
    if server:
        assert ask_once(server) == "opened"


def ask_once(server):
    with open_socket(server) as connection:
        return ask(connection, OPEN)["kind"]


# ── The page ──────────────────────────────────────────────────────────────────────────────────────


def test_serves_the_page_and_its_files(server):
    status, headers, body = request(server)
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:src|href)="([\w.]+)"', body.decode())
    assert {"play.js", "play.css", "palette.css", "graph.css"} <= set(named)
    todo, seen = [*named], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        status, headers, body = request(server, f"/{server.token}/{name}")
        assert status == 200, name
        if name.endswith(".js"):
            assert headers["Content-Type"].startswith("text/javascript")
            todo += re.findall(r'from "\./(\w+\.js)"', body.decode())
    assert seen == set(server.assets) - {"index.html"}


def test_all_modules_are_asked_for_at_once(server):
    page = server.assets["index.html"].decode()
    preloaded = re.findall(r'rel="modulepreload" href="([\w.]+)"', page)
    modules = [name for name in server.assets if name.endswith(".js") and name != "play.js"]
    assert preloaded == sorted(modules)


def test_every_answer_has_a_policy_and_is_not_kept(server):
    for path in ("", "play.js", "missing.js", "../secret"):
        _, headers, _ = request(server, f"/{server.token}/{path}")
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_nothing_in_the_files_names_another_place(server):
    for name, content in server.assets.items():
        places = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", content.decode())
        assert [p for p in places if not p.startswith("http://www.w3.org/")] == [], name


@pytest.mark.parametrize(
    "name",
    [
        *("missing", "..", "../server.py", "%2e%2e/server.py", "..%2fserver.py", "assets/play.js"),
        *("/etc/passwd", "//etc/passwd", "play.js/", "PLAY.JS", "play.js%00", "step/", "step/x"),
        *("step/x/1", "step//", "step/x/-1", "step/x/²", "socket/", "Socket", "\udcff", "é"),
    ],
)
def test_other_paths_are_not_found(server, name):
    status, _, body = request(server, f"/{server.token}/{name}")
    assert status in (404, None), name
    assert b"import" not in body


def test_listens_on_this_machine_alone(server):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=2)


# ── Other pages ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", ["x", "0" * 32, "é", "%00"])
@pytest.mark.parametrize("name", ["", "play.js", "step/a/1"])
def test_without_the_token_nothing_is_found(server, token, name):
    for path in (f"/{token}/{name}", f"/{token}{server.token}/{name}", f"/{name}"):
        assert request(server, path)[0] in (404, None), path


def test_without_the_token_there_is_no_socket(server):
    with pytest.raises(InvalidStatus, match="404"), open_socket(server, token="wrong"):
        pass


def test_tokens_are_long_and_random():
    tokens = {module.Server(port=0).token for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 32


HOSTS = [
    *("evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example"),
    *("localhost", "[::1]:{port}", "0.0.0.0:{port}", "", "127.0.0.1:{port}, evil.example"),
    *("user@127.0.0.1:{port}", "127.0.0.1:{port}/", "LOCALHOST.:{port}"),
]


@pytest.mark.parametrize("host", HOSTS)
def test_another_host_is_refused(server, host):
    """A name that its owner has pointed at 127.0.0.1 is the Host of what its pages ask for."""
    headers = [("Host", host.format(port=server.port))]
    assert request(server, headers=headers)[0] in (403, 400)


def test_two_hosts_or_none_are_refused(server):
    good = f"127.0.0.1:{server.port}"
    assert request(server, headers=[("Host", good), ("Host", good)])[0] in (403, 400)
    assert raw(server, f"GET /{server.token}/ HTTP/1.1\r\n\r\n".encode())[0] in (403, 400)


ORIGINS = [
    *("http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1"),
    *("http://127.0.0.1:{port}.evil.example", "http://localhost:{port}", "file://", ""),
    "http://127.0.0.1:{port}/",
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_another_origin_is_refused(server, origin):
    origin = origin.format(port=server.port)
    assert request(server, headers=[("Origin", origin)])[0] == 403
    with pytest.raises(InvalidStatus, match="403"), open_socket(server, origin=origin):
        pass


def test_a_socket_without_an_origin_is_refused(server):
    with pytest.raises(InvalidStatus, match="403"), open_socket(server, origin=None):
        pass


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get"])
def test_nothing_but_get_is_answered(server, method):
    status, _, _ = request(server, method=method, body=b"x=1")
    assert status is None or status >= 400


def test_noise_is_refused(server):
    rng = random.Random(0)
    for n in (0, 1, 7, 100, 10_000, 200_000):
        status, _, _ = raw(server, rng.randbytes(n), end=True)
        assert status is None or status >= 400
    long = f"GET /{'x' * 100_000} HTTP/1.1\r\n\r\n".encode()
    many = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1_000 + b"\r\n"
    for sent in (long, many, b"\x16\x03\x01" * 100):
        status, _, _ = raw(server, sent, end=True)
        assert status is None or status >= 400


def read_all(connection, received=None):
    """Read until the connection is closed, which raises."""
    received = [] if received is None else received
    while True:
        received.append(connection.recv(timeout=20))


# ── Messages ──────────────────────────────────────────────────────────────────────────────────────


def test_what_is_no_message_is_answered_by_an_error(server):
    rng = random.Random(1)
    with open_socket(server) as connection:
        sent = ["", "{", "null", "[]", '"x"', "NaN", "1" * 5_000, "[" * 50_000, b"\xff\x00", b"{}"]
        good = json.dumps(SETTING)
        for _ in range(100):
            text = list(good)
            for _ in range(rng.randint(1, 5)):
                text[rng.randrange(len(text))] = chr(rng.randint(1, 300))
            sent.append("".join(text))
        for message in sent:
            connection.send(message)
            while (reply := json.loads(connection.recv(timeout=20)))["kind"] == "graph":
                pass
            assert reply["kind"] in ("error", "frame"), message
        assert ask(connection, OPEN)["kind"] == "opened"


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 100_000_000])
def test_a_message_that_is_too_large_ends_the_connection(server, size):
    with open_socket(server, max_size=None) as connection:
        with contextlib.suppress(ConnectionClosed):
            connection.send("x" * size)
        with pytest.raises(ConnectionClosed) as closed:
            read_all(connection)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009


def test_10_000_messages_at_once_end_the_connection(server):
    with open_socket(server) as connection:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(10_000):
                connection.send(json.dumps(OPEN))
        answers = []
        with pytest.raises(ConnectionClosed) as closed:
            read_all(connection, answers)
        assert len(answers) <= 2 * BURST
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1008


def test_a_slow_reader_does_not_hold_up_others(server):
    with open_socket(server) as slow:
        for _ in range(300):
            slow.send(json.dumps(SETTING))
        assert ask_once(server) == "opened"


def test_more_tabs_than_can_be_open_are_refused_until_one_is_closed():
    with running() as server, contextlib.ExitStack() as stack:
        tabs = [stack.enter_context(open_socket(server)) for _ in range(MAX_TABS)]
        assert all(ask(tab, OPEN)["kind"] == "opened" for tab in tabs)
        with pytest.raises(InvalidStatus, match="503"), open_socket(server):
            pass
        tabs[0].close()
        wait_until(lambda: len(server.sessions) < MAX_TABS)
        assert ask_once(server) == "opened"


# ── Sessions ──────────────────────────────────────────────────────────────────────────────────────


def wait_until(happens):
    for _ in range(200):
        if happens():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_tabs_have_a_session_each_and_a_closed_one_is_freed():
    with running() as server:
        with open_socket(server, "a") as first, open_socket(server, "b") as second:
            ask(first, OPEN)
            ask(second, OPEN)
            assert len({id(session) for session in server.sessions.values()}) == 2
        wait_until(lambda: not server.sessions)
        assert not server.kept


@contextlib.contextmanager
def lost_connection(server):
    """A session whose connection was lost: the network failed, without a good-bye."""
    with contextlib.suppress(ConnectionClosed), open_socket(server, "a") as connection:
        assert not ask(connection, OPEN)["resumed"]
        session = server.sessions["a"]
        connection.socket.shutdown(socket.SHUT_RDWR)
        yield session


def test_a_lost_connection_finds_its_session_again():
    with running() as server, lost_connection(server) as session:
        wait_until(lambda: "a" in server.kept)
        with open_socket(server, "a") as again:
            assert ask(again, OPEN)["resumed"]
            assert server.sessions["a"] is session
            assert not server.kept


def test_a_lost_connection_is_forgotten_in_the_end(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_KEPT", 0.05)
    with running() as server, lost_connection(server):
        wait_until(lambda: not server.kept and not server.sessions)


def test_no_more_lost_sessions_are_kept_than_there_can_be_tabs(monkeypatch):
    monkeypatch.setattr(module, "MAX_TABS", 2)
    with running() as server:
        for tab in "abc":
            with contextlib.suppress(ConnectionClosed), open_socket(server, tab) as connection:
                ask(connection, OPEN)
                connection.socket.shutdown(socket.SHUT_RDWR)
            wait_until(lambda tab=tab: tab in server.kept)
        assert [*server.kept] == ["b", "c"]


def test_a_page_that_connects_again_takes_the_place_of_its_lost_connection(server):
    """Which the server has not noticed: a tunnel that is gone says nothing."""
    with contextlib.suppress(ConnectionClosed), open_socket(server, "a") as first:
        ask(first, OPEN)
        session = server.sessions["a"]
        with open_socket(server, "a") as second:
            assert ask(second, OPEN)["resumed"]
            assert server.sessions["a"] is session
            with pytest.raises(ConnectionClosed):
                first.recv(timeout=20)


def test_the_stepping_page_is_served_in_a_frame_of_its_own_origin(server):
    with open_socket(server, "a") as connection:
        connection.send(json.dumps(SETTING))
        reply = ask(connection, {"part": "loss", "do": "freeze"})
        while reply["kind"] != "frozen":
            reply = json.loads(connection.recv(timeout=20))
        path = f"/{server.token}/step/a/{reply['page']}"
        status, headers, body = request(server, path)
        assert status == 200
        assert b"Backprop through loss" in body
        policy = headers["Content-Security-Policy"]
        assert "sandbox allow-scripts" in policy
        assert "allow-same-origin" not in policy
        assert "connect-src" not in policy
        assert request(server, f"/{server.token}/step/b/{reply['page']}")[0] == 404


class Busy:
    """A part that never comes to rest."""

    running = True

    def handle(self, message):
        return [{"kind": "heard"}]

    def tick(self):
        time.sleep(0.02)
        return [{"kind": "frame"}]

    MESSAGES = {"set": {}}  # noqa: RUF012


def test_a_session_at_work_hears_what_is_said_and_leaves_others_alone():
    def busy():
        session = Session()
        session.parts["network"] = Busy()
        session._schemas["network"] = Busy.MESSAGES
        return session

    with running(busy) as server, open_socket(server) as connection:
        frames = 0
        for _ in range(20):
            connection.send(json.dumps({"part": "network", "do": "set"}))
            connection.send(json.dumps({"part": "session", "do": "drawn"}))
            while (reply := json.loads(connection.recv(timeout=20)))["kind"] != "heard":
                frames += reply["kind"] == "frame"
        assert frames >= 10
        assert request(server)[0] == 200


# ── The command ───────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def command(*options):
    """The command in a process of its own, with the address that it prints."""
    arguments = [sys.executable, "-m", "tinygrad_ce", "play", "--no-open", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_the_command_prints_its_address_and_ends_at_ctrl_c():
    with command("--port", "0") as (process, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
        process.send_signal(signal.CTRL_C_EVENT if os.name == "nt" else signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""
        assert process.stderr.read() == ""


def test_a_second_command_finds_another_port():
    with running() as server, command("--port", str(server.port)) as (process, address):
        assert f":{server.port}/" not in address
        process.send_signal(signal.CTRL_C_EVENT if os.name == "nt" else signal.SIGINT)
        assert process.wait(10) == 0
        assert f"port {server.port} is taken" in process.stderr.read()


@pytest.mark.parametrize("port", ["-1", "65536", "x", "1.5"])
def test_a_port_that_is_none_is_refused(port):
    with command("--port", port) as (process, address):
        assert process.wait(20) == 2
        assert address == ""
        assert process.stderr.read().startswith("tinygrad-ce: error: argument --port")
