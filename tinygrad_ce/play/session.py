"""A session: what one open page asks, and what it is answered. There is no I/O in it.

The server, a notebook or a test hands messages to `Session.handle` and sends on what it returns;
while the session is `running`, it calls `Session.tick` for the next frame.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

from .messages import REFUSALS, Message, Schema, validate

SESSION: Schema = {"open": {}, "drawn": {}}
MAX_PAGES = 4  # stepping pages that are kept, the newest ones
MAX_UNDRAWN = 2  # frames that are under way to the page


class Part(Protocol):
    """A part of the page: what may be asked of it, and its replies, which need no "part".

    What it raises becomes an error message. A reply with "html" holds a page of its own, the
    stepping page: the session keeps it, and sends its number as "page" instead.
    """

    MESSAGES: ClassVar[Schema]
    running: bool

    def handle(self, message: Message) -> list[Message]: ...

    def tick(self) -> list[Message]:
        """Do a slice of work of about 20 ms; return at most one frame."""
        ...


class Session:
    """What is behind one open page.

    Parameters
    ----------
    computation
        The function of a user and its tensors, for a part of its own; or None.
    training
        The model of a user, X and y, in place of those that the page makes; or None.
    """

    def __init__(
        self,
        computation: Sequence[Any] | None = None,
        training: tuple[Any, Any, Any] | None = None,
    ) -> None:
        from .network import Network
        from .one_loss import OneLoss

        self.pages: OrderedDict[int, str] = OrderedDict()
        self._n_pages = 0
        self._n_undrawn = 0
        self._n_opened = 0
        self.parts: dict[str, Part] = {"loss": OneLoss(), "network": Network(training)}
        self._first = "network" if training else "loss"
        if computation is not None:
            from .computation import Computation

            self._first = "computation"
            self.parts[self._first] = Computation(computation[0], computation[1:])
        self._schemas = {"session": SESSION} | {k: p.MESSAGES for k, p in self.parts.items()}

    @property
    def running(self) -> bool:
        """Whether to call `tick`: a part is at work, and the page has drawn what it was sent."""
        return self._n_undrawn < MAX_UNDRAWN and any(p.running for p in self.parts.values())

    def handle(self, message: Any) -> list[Message]:
        """Answer a message; one that is wrong in any way is answered by an error."""
        try:
            checked = validate(message, self._schemas)
        except REFUSALS as error:
            given = message.get("part") if isinstance(message, dict) else None
            part = given if isinstance(given, str) and given in self.parts else "session"
            return [{"part": part, "kind": "error", "message": str(error)}]
        name = checked["part"]
        if name != "session":
            return self._answer(name, lambda: self.parts[name].handle(checked))
        if checked["do"] == "drawn":
            self._n_undrawn = max(self._n_undrawn - 1, 0)
            return []
        self._n_undrawn = 0
        self._n_opened += 1
        known = {"parts": [*self.parts], "first": self._first, "resumed": self._n_opened > 1}
        return [{"part": name, "kind": "opened", **known}]

    def tick(self) -> list[Message]:
        """Let the parts that are running do a slice of their work; return their frames."""
        frames = []
        for name, part in self.parts.items():
            if part.running:
                frames += self._answer(name, part.tick)
        return frames

    def _answer(self, name: str, work: Callable[[], list[Message]]) -> list[Message]:
        try:
            replies = [{"part": name, **self._keep_page(reply)} for reply in work()]
            self._n_undrawn += sum(reply["kind"] == "frame" for reply in replies)
            return replies
        except Exception as error:  # of a user's own function too
            self.parts[name].running = False
            said = str(error) if isinstance(error, REFUSALS) else f"{type(error).__name__}: {error}"
            return [{"part": name, "kind": "error", "message": said}]

    def _keep_page(self, reply: Message) -> Message:
        if "html" not in reply:
            return reply
        self._n_pages += 1
        self.pages[self._n_pages] = reply["html"]
        if len(self.pages) > MAX_PAGES:
            self.pages.popitem(last=False)
        return {k: v for k, v in reply.items() if k != "html"} | {"page": self._n_pages}
