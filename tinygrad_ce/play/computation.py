"""One's own computation: a function of tensors, whose numbers can be moved."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..draw import draw
from ..draw.formatting import minus, number
from ..engine.names import printable
from ..engine.tensor import Tensor, as_tensor
from ..engine.transforms import gradients_where_reached
from .live_graph import LiveGraph
from .messages import Message, Schema, as_json, choice, flag, items, optional, real

MOST_TENSORS, MOST_NUMBERS = 12, 64  # that can be moved
LARGEST = 1e6


class Computation:
    """The part of the page on a function of one's own.

    Parameters
    ----------
    f
        Returns one number, a Tensor, of `tensors`.
    tensors
        Of these, numbers that are floating point can be moved. If none requires a gradient, all of
        them do.
    """

    MESSAGES: ClassVar[Schema] = {
        "describe": {},
        "set": {
            "values": items(items(real(-LARGEST, LARGEST), 0, MOST_NUMBERS), 0, MOST_TENSORS),
            "direction": choice(("LR", "TB")),
            "redraw": optional(flag()),
        },
        "freeze": {},
        "code": {},
    }
    running = False

    def __init__(self, f: Callable[..., Any], tensors: Sequence[Any]) -> None:
        self._f = f
        # An integer of Python is a label, a size, an index: it is passed on as it is.
        self._fixed = {i: given for i, given in enumerate(tensors) if isinstance(given, int)}
        self._given = [as_tensor(tensor) for tensor in tensors]
        self._names = _names_of(f, self._given)
        self._moved = [
            i for i, t in enumerate(self._given) if t.dtype.kind == "f" and i not in self._fixed
        ]
        movable = [self._given[i] for i in self._moved]
        if len(movable) > MOST_TENSORS or sum(t.size for t in movable) > MOST_NUMBERS:
            raise ValueError(
                f"play moves {MOST_NUMBERS} numbers in {MOST_TENSORS} tensors at most, got "
                f"{sum(t.size for t in movable):,} in {len(movable)}: play a smaller example"
            )
        self._all_require_grad = not any(t.requires_grad for t in movable)
        self._values = [t.data for t in movable]
        self._direction = "LR"
        self._graph = LiveGraph()
        self._compute()  # what is wrong with it is said here

    def handle(self, message: Message) -> list[Message]:
        match message["do"]:
            case "describe":
                return [{"kind": "inputs", "inputs": [self._describe(i) for i in self._moved]}]
            case "freeze":
                return [{"kind": "frozen", "html": draw(self._compute()[1]).html()}]
            case "code":
                return [{"kind": "code", "text": self._code()}]
        self._set(message["values"])
        self._direction = message["direction"]
        if message.get("redraw"):
            self._graph.forget()
        tensors, output = self._compute()
        drawings, numbers = self._graph.replies(output, self._direction)
        return [*drawings, {"kind": "frame", "tensors": numbers, **_observe(tensors, output)}]

    def tick(self) -> list[Message]:
        return []

    def _set(self, values: list[list[float]]) -> None:
        sizes = [value.size for value in self._values]
        if [len(value) for value in values] != sizes:
            raise ValueError(f"values has {[*map(len, values)]} numbers: expected {sizes}")
        self._values = [
            np.array(value, old.dtype).reshape(old.shape)
            for value, old in zip(values, self._values, strict=True)
        ]

    def _compute(self) -> tuple[list[Tensor], Tensor]:
        """Return the tensors that can be moved, and what the function makes of them."""
        arguments: list[Any] = [self._fixed.get(i, t) for i, t in enumerate(self._given)]
        for i, value in zip(self._moved, self._values, strict=True):
            wants = self._all_require_grad or self._given[i].requires_grad
            arguments[i] = Tensor(value, requires_grad=wants, name=self._names[i])
        with np.errstate(all="ignore"):
            output = self._f(*arguments)
        if not isinstance(output, Tensor) or output.size != 1:
            got = f"shape {output.shape}" if isinstance(output, Tensor) else type(output).__name__
            raise TypeError(f"the function to play returns one number, a Tensor, got {got}")
        return [arguments[i] for i in self._moved], output

    def _describe(self, i: int) -> Message:
        tensor = self._given[i]
        value = tensor.data
        return {
            "name": printable(self._names[i], 24),
            "shape": list(tensor.shape),
            "values": as_json(value.ravel()),
            "differentiable": self._all_require_grad or tensor.requires_grad,
        }

    def _code(self) -> str:
        name = getattr(self._f, "__name__", "f")
        try:
            source = textwrap.dedent(inspect.getsource(self._f))
        except (OSError, TypeError):
            source = f"# {name} is the function that was given to tg.play\n"
        if name == "<lambda>" or not source.startswith(("def ", "#")):
            source, name = f"# f = {source.strip().splitlines()[0]}\n", "f"
        lines = ["import numpy as np", "import tinygrad_ce as tg", "", source]
        values = dict(zip(self._moved, self._values, strict=True))
        for i, tensor in enumerate(self._given):
            if i in self._fixed:
                lines.append(f"{self._names[i]} = {self._fixed[i]}")
                continue
            value = values.get(i, tensor.data)
            wants = i in values and (self._all_require_grad or tensor.requires_grad)
            options = f"{', requires_grad=True' * wants}, dtype=np.{value.dtype}"
            lines.append(f"{self._names[i]} = tg.Tensor({value.tolist()}{options})")
        lines += [f"output = {name}({', '.join(self._names)})", "output.backward()"]
        lines += ["print(output.item())"]
        lines += [f"print({self._names[i]}.grad)" for i in values if self._given[i].requires_grad
                  or self._all_require_grad]  # fmt: skip
        return "\n".join(lines) + "\n"


def _names_of(f: Callable[..., Any], tensors: list[Tensor]) -> list[str]:
    """The tensors' names where these are names in Python, else those of the parameters."""
    try:
        parameters = [*inspect.signature(f).parameters]
    except (TypeError, ValueError):
        parameters = []
    parameters += [f"x{i}" for i in range(len(parameters), len(tensors))]
    own = [str(t.name or "") for t in tensors]
    if len(set(own)) == len(own) and all(name.isidentifier() for name in own):
        return own
    return parameters[: len(tensors)]


def _observe(tensors: list[Tensor], output: Tensor) -> Message:
    found: list[Any] = [None] * len(tensors)
    if output.requires_grad:
        wanted = [i for i, t in enumerate(tensors) if t.requires_grad]
        gradients = gradients_where_reached(output, [tensors[i] for i in wanted])
        for i, gradient in zip(wanted, gradients, strict=True):
            found[i] = np.zeros_like(tensors[i].data) if gradient is None else gradient
    return {
        "output": minus(number(output.data.reshape(())[()])),
        "gradients": [None if g is None else as_json(np.ravel(g)) for g in found],
        "written": [
            None if g is None else [minus(number(element)) for element in np.ravel(g)]
            for g in found
        ],
    }
