"""The page as a widget of a notebook: the same page, connected to the kernel by its messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .messages import Message
from .one_file import page_in_one_file
from .session import Session

HOW_TO_GET_A_WIDGET = (
    "the live page in a notebook needs anywidget: "
    'pip install "tinygrad-ce[notebook]", or pip install ".[notebook]" in a checkout'
)
MAX_VIEWS = 16
SECONDS_PER_FRAME = 1 / 60
HEIGHT = 900

# The page is in a frame with an origin of its own: it cannot reach the notebook around it.
RENDER = """
export default {
  render({ model, el }) {
    const view = Math.random().toString(36).slice(2);
    const frame = document.createElement("iframe");
    frame.title = "Backprop, live";
    frame.sandbox = "allow-scripts allow-downloads allow-modals";
    frame.style.cssText = `width: 100%; height: ${model.get("height")}px; border: 0`;
    frame.srcdoc = model.get("page");
    el.append(frame);
    const toPage = ({ to, reply }) => {
      if (to === view) frame.contentWindow?.postMessage(reply, "*");
    };
    const toKernel = ({ source, data }) => {
      if (source === frame.contentWindow) model.send({ view, message: data });
    };
    model.on("msg:custom", toPage);
    addEventListener("message", toKernel);
    return () => {
      model.off("msg:custom", toPage);
      removeEventListener("message", toKernel);
      model.send({ view, closed: true });
    };
  },
};
"""


def widget_of(make_session: Callable[[], Session], height: int = HEIGHT) -> Any:
    """Return the widget; each place that shows it has a session.

    Raises
    ------
    ImportError
        The extra `notebook` is not installed.
    """
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise ImportError(HOW_TO_GET_A_WIDGET) from None

    class PlayWidget(anywidget.AnyWidget):
        _esm = RENDER
        page = traitlets.Unicode(page_in_one_file("notebook")).tag(sync=True)
        height = traitlets.Int(HEIGHT).tag(sync=True)

    widget = PlayWidget(height=height)
    views = Views(make_session, widget.send)
    widget.on_msg(lambda _, content, buffers: views.receive(content))
    return widget


class Views:
    """The sessions of the places that show a widget.

    They work on the kernel's event loop, a slice at a time: while a cell runs, they wait.
    """

    def __init__(
        self, make_session: Callable[[], Session], send: Callable[[Message], object]
    ) -> None:
        self._make_session, self._send = make_session, send
        self.sessions: dict[str, Session] = {}
        self._ticking: set[str] = set()

    def receive(self, content: Any) -> None:
        """Answer what the frontend sent: a message of a view, or that the view is closed."""
        view = content.get("view") if isinstance(content, dict) else None
        if not isinstance(view, str) or len(view) > 64:
            return
        if content.get("closed"):
            self.sessions.pop(view, None)
            return
        if view not in self.sessions:
            if len(self.sessions) >= MAX_VIEWS:
                return
            self.sessions[view] = self._make_session()
        self._reply(view, self.sessions[view].handle(content.get("message")))
        self._start(view)

    def _reply(self, view: str, replies: list[Message]) -> None:
        for reply in replies:
            if "page" in reply:  # there is no server that would have it
                reply = {**reply, "html": self.sessions[view].pages[reply["page"]]}
            self._send({"to": view, "reply": reply})

    def _start(self, view: str) -> None:
        if view not in self._ticking and self.sessions[view].running:
            self._ticking.add(view)
            asyncio.get_running_loop().call_later(SECONDS_PER_FRAME, self._tick, view)

    def _tick(self, view: str) -> None:
        self._ticking.discard(view)
        if view in self.sessions and self.sessions[view].running:
            self._reply(view, self.sessions[view].tick())
            self._start(view)
