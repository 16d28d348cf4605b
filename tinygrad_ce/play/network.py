"""The second part of the page: a network that learns, with all that is inside of it.

The page says what to train and how fast; `tick` trains for a slice of time, and returns a frame.
What has been recorded can be shown again, with the same numbers.
"""

from __future__ import annotations

import json
import time
from typing import Any, ClassVar

from ..arguments import check_kind
from ..draw import RenderError, draw
from ..nn import Module
from .frames import Frames
from .messages import Message, Schema, flag, integer, optional
from .network_code import code_of
from .network_settings import CHECKS, MAX_STEP, RATE, Settings
from .problem import MAX_ROWS, Problem, given_problem, make_problem
from .replay import replay_page
from .training import Training, make_model

SLICE = 0.015  # seconds of training in a tick
MAX_PACE = 200  # steps a frame
MAX_AHEAD = 20_000  # steps at once
MAX_REPLAYED = 6_000_000  # characters of frames in an exported page


class Network:
    """A training, as the page sees it.

    Parameters
    ----------
    given
        A model and the X and y to train it with, in place of the page's own data.
    """

    STEP = integer(0, MAX_STEP)
    MESSAGES: ClassVar[Schema] = {
        "set": {
            **CHECKS,
            "steps": optional(integer(0, MAX_AHEAD)),
            "play": optional(flag()),
            "request": optional(integer(0, MAX_STEP)),
        },
        "resume": {},
        "rate": {"lr": RATE},
        "play": {"pace": integer(1, MAX_PACE)},
        "pause": {},
        "step": {"n": integer(1, MAX_AHEAD)},
        "show": {"step": STEP},
        "example": {"index": integer(0, MAX_ROWS)},
        "backward": {},
        "freeze": {},
        "code": {},
        "export": {},
    }

    def __init__(self, given: tuple[Any, Any, Any] | None = None) -> None:
        self.settings = Settings()
        self._given: tuple[Module, Problem] | None = None
        if given is not None:
            model, X, y = given
            check_kind("model", model, Module)
            self._given = model, given_problem(X, y)
            self.settings = Settings(data="given", optimizer="Adam", rates=((0, 0.01),))
        self._playing = False
        self._pace = 1
        self._until = 0  # a step to go on to
        self._shown = 0  # the step that is seen
        self._sent = 0  # the step from which on the curves are still to be sent
        self._export: _Export | None = None
        self._begin(self.settings)

    @property
    def running(self) -> bool:
        """Whether there is something to do in `tick`."""
        ahead = self.training.recording.last < self._until
        return self._playing or ahead or self._export is not None

    @running.setter
    def running(self, running: bool) -> None:
        if not running:
            self._stop()

    def _stop(self) -> None:
        self._playing, self._until, self._export = False, 0, None

    def handle(self, message: Message) -> list[Message]:
        """Do what a message asks."""
        fields = {k: v for k, v in message.items() if k not in ("part", "do")}
        replies: list[Message] = getattr(self, f"_do_{message['do']}")(**fields)
        return replies

    def tick(self) -> list[Message]:
        """Train for a slice of time and return a frame, or go on with an export."""
        deadline = time.monotonic() + SLICE
        if self._export is not None:
            return self._go_on_with_export(deadline)
        recording = self.training.recording
        ahead = max(self._until - recording.last, 0)
        for _ in range(ahead or self._pace):
            self.training.advance()
            if time.monotonic() > deadline:
                break
        return [self._frame(recording.last)]

    # ── Messages ──────────────────────────────────────────────────────────────────────────────────

    def _do_set(
        self, steps: int = 0, play: bool = False, request: int = 0, **changes: Any
    ) -> list[Message]:
        """Begin another training; `request` is sent back, for the page to know which it is."""
        example = self.frames.example
        self._begin(self.settings.with_changes(changes))
        if example < len(self.training.problem.X):
            self.frames.example = example
        self._until, self._playing = steps, play
        started, *more = self._everything()
        return [started | {"request": request}, *more]

    def _begin(self, settings: Settings) -> None:
        """Start again with other settings; if they are wrong, nothing has changed."""
        if settings.data == "given":
            if self._given is None:
                raise ValueError("no model was given: choose data of the page")
            model, problem = self._given
        else:
            problem = make_problem(settings)
            model = make_model(settings, problem)
        training = Training(problem, model, settings)
        frames = Frames(training)
        self._stop()
        self.settings, self.training, self.frames = settings, training, frames
        self._shown = self._sent = 0

    def _everything(self) -> list[Message]:
        self._sent = 0
        return [self._started(), self._graph(), self._frame(self._shown)]

    def _started(self) -> Message:
        settings = self.settings.as_dict() | {"rates": self.training.rates}
        given = {"given": self._given is not None, "playing": self._playing}
        return {"kind": "started", "settings": settings, **given, **self.frames.description()}

    def _graph(self) -> Message:
        try:
            return {"kind": "graph", **self.frames.example_graph().layout()}
        except (ValueError, ImportError, RenderError) as error:
            return {"kind": "graph", "svg": "", "tensors": [], "why": str(error)}

    def _do_resume(self) -> list[Message]:
        return self._everything()

    def _do_rate(self, lr: float) -> list[Message]:
        return [{"kind": "rates", "rates": self.training.change_rate(lr)}]

    def _do_play(self, pace: int) -> list[Message]:
        self._playing, self._pace = True, pace
        return []

    def _do_pause(self) -> list[Message]:
        self._stop()
        return [{"kind": "paused"}]

    def _do_step(self, n: int) -> list[Message]:
        self._playing = False
        self._until = self.training.recording.last + n
        return self.tick()

    def _do_show(self, step: int) -> list[Message]:
        self._stop()
        return [self._frame(step)]

    def _do_example(self, index: int) -> list[Message]:
        self.frames.settle(index)
        return [self._frame(self._shown)]

    def _frame(self, step: int) -> Message:
        frame = self.frames.frame(step)
        self._shown = frame["step"]
        curves = self.frames.curves(self._sent)
        self._sent = self.training.recording.last + 1
        return frame | {"curves": curves, "running": self.running}

    def _do_backward(self) -> list[Message]:
        self._stop()
        frame = self._frame(self._shown)
        return [frame, {"kind": "backward", "steps": self.frames.example_graph().steps_back()}]

    def _do_freeze(self) -> list[Message]:
        self._stop()
        frame = self._frame(self._shown)
        return [frame, {"kind": "frozen", "html": draw(self.frames.example_graph().loss).html()}]

    def _do_code(self) -> list[Message]:
        problem, settings = self.training.problem, self.settings
        sizes = [problem.n_features, *settings.hidden, len(problem.class_names)]
        rates, batch_size = self.training.rates, self.training.batch_size
        return [{"kind": "code", "text": code_of(settings, rates, self._shown, sizes, batch_size)}]

    # ── Export ────────────────────────────────────────────────────────────────────────────────────

    def _do_export(self) -> list[Message]:
        self._stop()
        frame = self._frame(self._shown)
        start = [self._started() | {"replay": True}, self._graph()]
        self._export = _Export(start, self._do_code()[0], self.frames)
        return [frame]

    def _go_on_with_export(self, deadline: float) -> list[Message]:
        assert self._export is not None
        page = self._export.work_until(deadline)
        if page is None:
            return [{"kind": "exporting", "share": self._export.share}]
        self._export = None
        return [{"kind": "file", "name": "backprop_live.html", "text": page}]


class _Export:
    """Frames of what was recorded, evenly chosen, made one after the other."""

    def __init__(self, start: list[Message], code: Message, frames: Frames) -> None:
        self.start, self.code, self.frames = start, code, frames
        first = frames.frame(frames.training.recording.first)
        recording = frames.training.recording
        most = max(MAX_REPLAYED // len(json.dumps(first)), 2)
        n = min(len(recording), most)
        span = recording.last - recording.first
        steps = [recording.first + round(i * span / max(n - 1, 1)) for i in range(n)]
        self._steps = list(dict.fromkeys(steps))
        self._made: list[Message] = []

    @property
    def share(self) -> float:
        return len(self._made) / len(self._steps)

    def work_until(self, deadline: float) -> str | None:
        """Make frames; return the page when all are there."""
        for step in self._steps[len(self._made) :]:
            self._made.append(self.frames.frame(step))
            if time.monotonic() > deadline:
                return None
        curves = {"kind": "curves", **self.frames.curves()}
        recorded = {"start": [*self.start, curves], "frames": self._made, "code": self.code}
        return replay_page(recorded)
