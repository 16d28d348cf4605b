"""The server: the page's files and a WebSocket for its session, on this machine alone.

It listens on 127.0.0.1, and answers nothing but requests whose path begins with a random token
and whose Host and Origin are its own: another page that is open in the browser can neither guess
the one nor forge the other, whatever name it has made DNS give to 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from .asset_files import read_assets
from .messages import MAX_BYTES, Message, parse, write
from .one_loss import warm_up
from .session import Session

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

HOST, PORT = "127.0.0.1", 8642
HOW_TO_GET_A_SERVER = (
    "the live page needs websockets: "
    'pip install "tinygrad-ce[play]", or pip install ".[all]" in a checkout'
)

MAX_TABS = 16  # that are open at once
MESSAGES_PER_SECOND, BURST = 200, 400  # of a tab; the page sends far fewer
SECONDS_KEPT = 120  # a session whose connection was lost
SECONDS_PER_FRAME = 1 / 60

TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# The stepping page is one file with its own policy, in a frame with an origin of its own.
STEPPING_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "sandbox allow-scripts allow-downloads allow-modals"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server:
    """Serves the page, with a session for each tab.

    Parameters
    ----------
    make_session
        Called for each tab that is opened.
    port
        Where to listen; if it is taken, another port is found.
    """

    def __init__(self, make_session: Callable[[], Session] = Session, port: int = PORT) -> None:
        self.make_session = make_session
        self.port = port
        self.token = secrets.token_urlsafe(24)
        self.assets = read_assets()
        self.sessions: dict[str, Session] = {}  # of the tabs that are open
        # Of connections that were lost, and when to forget them.
        self.kept: dict[str, tuple[Session, asyncio.TimerHandle]] = {}
        self._talks: dict[str, tuple[ServerConnection, asyncio.Event]] = {}  # until they have ended

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}/{self.token}/"

    async def run(self, ready: Callable[[str], object]) -> None:
        """Serve until it is cancelled; `ready` is called with the address."""
        try:
            from websockets.asyncio.server import serve
        except ImportError:
            raise ImportError(HOW_TO_GET_A_SERVER) from None
        quiet = logging.getLogger(f"{__name__}.connections")  # what others send is no news
        quiet.addHandler(logging.NullHandler())
        quiet.propagate = False
        options: dict[str, Any] = {
            "process_request": self._respond,
            "max_size": MAX_BYTES,
            "compression": None,
            "close_timeout": 1,
            "ping_interval": None,  # a laptop that sleeps answers none, and is still there
            "server_header": None,
            "logger": quiet,
        }
        try:
            server = await serve(self._talk, HOST, self.port, **options)
        except OSError as error:
            print(f"port {self.port} is taken ({error.strerror}): another one", file=sys.stderr)
            server = await serve(self._talk, HOST, 0, **options)
        async with server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            ready(self.address)
            await server.serve_forever()

    # ── Requests ──────────────────────────────────────────────────────────────────────────────────

    def _respond(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a request for a file; None goes on with the handshake of a WebSocket."""
        path = request.path.partition("?")[0]
        is_socket = path.endswith("/socket")
        if not self._is_own(request, is_socket):
            return _response(HTTPStatus.FORBIDDEN)
        _, token, name = [*path.split("/", 2), "", ""][:3]
        given, expected = token.encode(), self.token.encode()
        if not secrets.compare_digest(given, expected):
            return _response(HTTPStatus.NOT_FOUND)
        if name == "socket":
            full = len(self.sessions) >= MAX_TABS
            return _response(HTTPStatus.SERVICE_UNAVAILABLE) if full else None
        if name.startswith("step/"):
            return self._stepping_page(*name.removeprefix("step/").partition("/")[::2])
        name = name or "index.html"
        if name not in self.assets:
            return _response(HTTPStatus.NOT_FOUND)
        return _response(HTTPStatus.OK, self.assets[name], TYPES[PurePath(name).suffix])

    def _is_own(self, request: Request, needs_origin: bool) -> bool:
        """Whether Host, and Origin where there is one, are those of this server."""
        hosts = {f"{host}:{self.port}" for host in (HOST, "localhost")}
        host = request.headers.get_all("Host")
        if len(host) != 1 or host[0] not in hosts:
            return False
        origin = request.headers.get_all("Origin")
        return origin == [f"http://{host[0]}"] or (not origin and not needs_origin)

    def _stepping_page(self, tab: str, number: str) -> Response:
        session = self.sessions.get(tab)
        page = session.pages.get(int(number)) if session and number.isdecimal() else None
        if page is None:
            return _response(HTTPStatus.NOT_FOUND)
        return _response(HTTPStatus.OK, page.encode(), "text/html", STEPPING_POLICY)

    # ── Sessions ──────────────────────────────────────────────────────────────────────────────────

    async def _talk(self, connection: ServerConnection) -> None:
        """Be the session of one tab, until it is closed or its connection is lost."""
        from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

        assert connection.request is not None
        query = parse_qs(connection.request.path.partition("?")[2])
        tab = query.get("tab", [""])[0][:64] or secrets.token_urlsafe(24)
        while tab in self._talks:  # its connection was lost, which nobody has noticed
            before, ended = self._talks[tab]
            before.transport.abort()
            await ended.wait()
        self._talks[tab] = connection, asyncio.Event()
        self.sessions[tab] = self._take_back(tab) or self.make_session()
        try:
            await _converse(connection, self.sessions[tab])
        except ConnectionClosedOK:
            pass
        except ConnectionClosedError as error:
            if error.rcvd is None and error.sent is None:  # neither side has ended it
                self._keep(tab)
        finally:
            del self.sessions[tab]
            self._talks.pop(tab)[1].set()

    def _keep(self, tab: str) -> None:
        """Keep a session for a while: its page will ask for it again."""
        if len(self.kept) >= MAX_TABS:
            self._take_back(next(iter(self.kept)))
        timer = asyncio.get_running_loop().call_later(SECONDS_KEPT, self._take_back, tab)
        self.kept[tab] = self.sessions[tab], timer

    def _take_back(self, tab: str) -> Session | None:
        """Keep a session no longer; return it, if there is one."""
        session, timer = self.kept.pop(tab, (None, None))
        if timer is not None:
            timer.cancel()
        return session


async def _converse(connection: ServerConnection, session: Session) -> None:
    """Hand messages to the session and its replies to the page, and frames while it runs.

    The session works in a thread, one thing at a time; meanwhile, others are served.
    """
    allowance, before = float(BURST), time.monotonic()
    next_frame = 0.0
    while True:
        wait = next_frame - time.monotonic() if session.running else None
        if wait is not None and wait <= 0:
            next_frame = time.monotonic() + SECONDS_PER_FRAME
            await _send(connection, await asyncio.to_thread(session.tick))
            wait = 0.001  # for what has come meanwhile
        try:
            sent = await asyncio.wait_for(connection.recv(), wait)
        except TimeoutError:
            continue
        now = time.monotonic()
        allowance = min(BURST, allowance + (now - before) * MESSAGES_PER_SECOND) - 1
        before = now
        if allowance < 0:
            await connection.close(1008, f"more than {MESSAGES_PER_SECOND} messages a second")
            return
        await _send(connection, await asyncio.to_thread(_answer, session, sent))


async def _send(connection: ServerConnection, replies: list[Message]) -> None:
    for reply in replies:
        await connection.send(write(reply))


def _answer(session: Session, sent: str | bytes) -> list[Message]:
    try:
        message = parse(sent)
    except ValueError as error:
        return [{"part": "session", "kind": "error", "message": f"no JSON: {error}"}]
    return session.handle(message)


def _response(
    status: HTTPStatus, body: bytes = b"", kind: str = "text/plain", policy: str = POLICY
) -> Response:
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    body = body or status.phrase.encode()
    length = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body))}
    headers = {**HEADERS, **length, "Content-Security-Policy": policy, "Connection": "close"}
    return Response(status.value, status.phrase, Headers(headers), body)


def serve_page(
    make_session: Callable[[], Session] = Session, port: int = PORT, open_browser: bool = True
) -> None:
    """Serve the page until Ctrl-C; print its address, and open it in the browser.

    Raises
    ------
    ImportError
        The extra `play` is not installed.
    """

    def ready(address: str) -> None:
        print(address, flush=True)
        loop = asyncio.get_running_loop()
        if open_browser:
            loop.run_in_executor(None, webbrowser.open, address)
        loop.run_in_executor(None, warm_up)  # while the browser asks for the page

    with suppress(KeyboardInterrupt):
        asyncio.run(Server(make_session, port).run(ready))
