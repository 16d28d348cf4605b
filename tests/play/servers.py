"""A server in a thread of its own, and what is sent to it."""

import asyncio
import contextlib
import json
import socket
import threading

from websockets.sync.client import connect

from tinygrad_ce.play.server import Server
from tinygrad_ce.play.session import Session


class WatchedServer(Server):
    """A server that says which connections it has, and on which event loop."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.loop = asyncio.new_event_loop()
        self.connections = []

    async def _talk(self, connection):
        self.connections.append(connection)
        await super()._talk(connection)


@contextlib.contextmanager
def running(make_session=Session, port=0):
    """A server that runs, with its address."""
    server = WatchedServer(make_session, port)
    started, loop = threading.Event(), server.loop
    task = loop.create_task(server.run(lambda address: started.set()))

    def run():
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
        assert not thread.is_alive()


def request(server, path=None, headers=(), method="GET", body=b""):
    """The status and the headers of the answer to a plain request; None for no answer."""
    path = f"/{server.token}/" if path is None else path
    lines = [f"{method} {path} HTTP/1.1"]
    if "Host" not in dict(headers):
        lines.append(f"Host: 127.0.0.1:{server.port}")
    lines += [f"{name}: {value}" for name, value in headers]
    return raw(server, "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body)


def raw(server, sent, timeout=5, end=False):
    """What comes back on a connection on which something was sent: status, headers, body.

    `end` says to the server that nothing more comes.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        received = b""
        with contextlib.suppress(OSError):
            connection.sendall(sent)
            if end:
                connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                received += part
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return (int(status.split()[1]) if status else None), headers, body


def open_socket(server, tab="", origin=..., token=None, **options):
    """A WebSocket that is open, as the page opens it."""
    address = f"ws://127.0.0.1:{server.port}/{token or server.token}/socket?tab={tab}"
    origin = f"http://127.0.0.1:{server.port}" if origin is ... else origin
    options |= {"compression": None, "proxy": None, "close_timeout": 1}
    return connect(address, origin=origin, **options)


def ask(connection, message):
    connection.send(json.dumps(message))
    return json.loads(connection.recv(timeout=20))
