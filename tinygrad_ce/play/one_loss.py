"""One loss: its values and gradients, as its logits, its target and its expression change."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from .. import closed_form
from ..draw import draw
from ..draw.formatting import minus, number
from ..engine import elementwise
from ..engine.array_types import Array
from ..engine.tensor import Tensor
from ..verify import decimal_reference
from . import expression
from .live_graph import LiveGraph
from .messages import Message, Schema, as_json, choice, flag, integer, items, optional, real, text

LEAST_CLASSES, MOST_CLASSES = 2, 9
LARGEST = 1_000.0  # logit, either way

# The loss of a label, and that of a distribution over the classes, in each of its forms.
FORMS = {
    "naive": (
        "-(e / e.sum())[t].log()",
        "-(y * (e / e.sum()).log()).sum()",
    ),
    "shifted": (
        "s.exp().sum().log() - s[t]",
        "(y * (s.exp().sum().log() - s)).sum()",
    ),
    "margin": (
        "(exp(z - z[t]) * (1 - y)).sum().log1p()",
        "(y * (exp(z - z[:, None]) * (1 - I)).sum(1).log1p()).sum()",
    ),
}
DTYPES = {"float64": np.float64, "float32": np.float32}

CURVE_POINTS = 120
SAME = 100  # epsilons by which numbers may differ that are the same but for rounding


@dataclass(frozen=True)
class Setting:
    """What is set on the page."""

    logits: list[float]
    label: int
    form: str  # one of FORMS, or "expression"
    dtype: str
    smoothing: float
    soft: list[float] | None = None  # how much of the target is in each class
    expression: str = ""
    direction: str = "LR"

    def __post_init__(self) -> None:
        n = len(self.logits)
        if self.label >= n:
            raise ValueError(f"label {self.label} is out of range for {n} classes")
        if self.soft is not None and len(self.soft) != n:
            raise ValueError(f"soft has {len(self.soft)} elements for {n} classes")
        if self.soft is not None and not sum(self.soft) > 0:
            raise ValueError("a soft target is 0 for all classes: expected one above 0")

    @property
    def target(self) -> Array:
        """The distribution over the classes, smoothed."""
        n = len(self.logits)
        weights = np.eye(n)[self.label] if self.soft is None else np.array(self.soft)
        smoothed: Array = (1 - self.smoothing) * weights / weights.sum() + self.smoothing / n
        return smoothed

    @property
    def is_label(self) -> bool:
        return self.soft is None and not self.smoothing

    @property
    def line(self) -> str:
        """The expression that is computed."""
        if self.form == "expression":
            return self.expression
        return FORMS[self.form][0 if self.is_label else 1]

    def compute(self) -> tuple[Tensor, Tensor]:
        """Return logits and loss.

        Raises
        ------
        ValueError
            The expression is none, or its value is not one number.
        """
        dtype = DTYPES[self.dtype]
        z = Tensor(self.logits, requires_grad=True, dtype=dtype, name="z")
        with np.errstate(all="ignore"):
            e = elementwise.exp(z)
            m = Tensor(z.data.max(), name="m")
            s = z - m
        e.name, s.name = "e", "s"
        y = Tensor(self.target, dtype=dtype, name="y")
        identity = Tensor(np.eye(z.size), dtype=dtype, name="I")
        names = {"z": z, "t": self.label, "y": y, "e": e, "s": s, "C": z.size, "I": identity}
        loss = expression.evaluate(self.line, names)
        if not isinstance(loss, Tensor) or loss.size != 1:
            shape = np.shape(loss)
            what = f"has shape {shape}" if shape else "has no tensor in it"
            raise ValueError(f"a loss is one number that depends on z: this {what}")
        if loss is not z:
            loss.name = "loss"
        return z, loss


# What the page shows first.
FIRST = Setting([2.0, 1.0, 0.1], 0, "naive", "float64", 0.0)


class OneLoss:
    """The first part of the page."""

    MESSAGES: ClassVar[Schema] = {
        "set": {
            "logits": items(real(-LARGEST, LARGEST), LEAST_CLASSES, MOST_CLASSES),
            "label": integer(0, MOST_CLASSES - 1),
            "soft": optional(items(real(0, 1), LEAST_CLASSES, MOST_CLASSES)),
            "smoothing": real(0, 1),
            "form": choice([*FORMS, "expression"]),
            "expression": optional(text(expression.MAX_LENGTH)),
            "dtype": choice(DTYPES),
            "direction": choice(("LR", "TB")),
            "redraw": optional(flag()),
        },
        "freeze": {},
        "code": {},
    }
    running = False

    def __init__(self) -> None:
        self._graph = LiveGraph()
        self._setting = FIRST

    def handle(self, message: Message) -> list[Message]:
        match message["do"]:
            case "freeze":
                return [{"kind": "frozen", "html": draw(self._setting.compute()[1]).html()}]
            case "code":
                return [{"kind": "code", "text": code_of(self._setting)}]
        known = {field.name for field in fields(Setting)}
        setting = Setting(**{k: v for k, v in message.items() if k in known})
        z, loss = setting.compute()
        if message.get("redraw"):
            self._graph.forget()
        drawings, numbers = self._graph.replies(loss, setting.direction)
        self._setting = setting
        return [*drawings, {"kind": "frame", "tensors": numbers, **observe(setting, z, loss)}]

    def tick(self) -> list[Message]:
        return []


def warm_up() -> None:
    """Lay out the graph that the page shows first; the layout is kept."""
    LiveGraph().replies(FIRST.compute()[1], FIRST.direction)


def observe(setting: Setting, z: Tensor, loss: Tensor) -> Message:
    """Return what is beside the graph: probabilities, gradients, the curve and the verdict."""
    gradient = gradient_of(z, loss)
    exact, floor = exact_gradient(setting, z.data)
    verdict, kinds = judge(gradient, exact, floor, z.dtype)
    p, y = closed_form.softmax(z.data.astype(float)), setting.target
    return {
        "line": setting.line,
        "loss": as_json(loss.data),
        "probabilities": as_json(p),
        "target": as_json(y),
        "gradient": as_json(gradient),
        "written": [
            {"p": _written(a), "y": _written(b), "exact": _written(c), "found": _written(d)}
            for a, b, c, d in zip(p, y, exact, gradient, strict=True)
        ],
        "loss_written": _written(loss.data),
        "kinds": kinds,
        "verdict": verdict,
        "curve": curve(setting, z.data),
    }


def _written(value: Any) -> str:
    return minus(number(value))


def gradient_of(z: Tensor, loss: Tensor) -> Array:
    """∂L/∂z by backprop; 0 where the loss does not depend on z."""
    if not loss.requires_grad:
        return np.zeros_like(z.data)
    loss.backward(retain_graph=True)
    return np.zeros_like(z.data) if z.grad is None else z.grad


def exact_gradient(setting: Setting, logits: Array) -> tuple[Array, float]:
    """Return p − y, from 50 digits, and the smallest number that the dtype holds well."""
    if setting.is_label:
        exact = decimal_reference.cross_entropy_grad(logits, setting.label)
    else:
        exact = decimal_reference.softmax(logits) - decimal_reference.decimals(setting.target)
    return exact.astype(float), float(np.finfo(logits.dtype).tiny)


def judge(found: Array, exact: Array, floor: float, dtype: np.dtype[Any]) -> tuple[str, list[str]]:
    """Return what is to be said of a gradient, and of each of its elements which kind it is of.

    An element "agrees" with the exact one; or it is "rounded", by no more than an epsilon of 1; or
    nothing is left of it, and it is "lost"; or it "differs".
    """
    allowed = SAME * float(np.finfo(dtype).eps)
    kinds = []
    for f, x in zip(found.astype(float), exact, strict=True):
        error = abs(f - x)
        if error <= max(allowed * abs(x), floor):
            kinds.append("agrees")
        elif not np.isfinite(f) or (error <= allowed and error >= abs(x) / 2):
            kinds.append("lost")
        else:
            kinds.append("rounded" if error <= allowed else "differs")
    if "lost" in kinds:
        i = kinds.index("lost")
        finds = f"backprop finds {_written(found[i])}, and p − y is {_written(exact[i])}"
        return f"The gradient of class {i} is lost: {finds}.", kinds
    if "differs" in kinds:
        i = kinds.index("differs")
        finds = f"for class {i}, backprop finds {_written(found[i])}, and p − y is"
        return f"This is not p − y: {finds} {_written(exact[i])}.", kinds
    if "rounded" in kinds:
        i = kinds.index("rounded")
        digits = max(int(-np.log10(abs(found[i] / exact[i] - 1))), 0)
        return f"Backprop finds p − y, but for class {i} to {digits} digits only.", kinds
    return "Backprop finds p − y, to the last digits.", kinds


def curve(setting: Setting, logits: Array) -> Message:
    """Return the loss against the probability of the label, and the place on it.

    The others keep their shares in what is left: L(p) = −y_t log p − (1 − y_t) log(1 − p) + c.
    """
    t, y, z = setting.label, setting.target, logits.astype(float)
    others = np.delete(z, t)
    largest = others.max()
    log_shares = others - largest - np.log(np.exp(others - largest).sum())
    c = float(-(np.delete(y, t) * log_shares).sum())
    p = (np.arange(CURVE_POINTS) + 0.5) / CURVE_POINTS
    losses = -y[t] * np.log(p) - (1 - y[t]) * np.log1p(-p) + c
    place = {"probability": float(closed_form.softmax(z)[t]), "best": float(y[t])}
    return {"p": as_json(p), "loss": as_json(losses), **place}


CODE = """\
import numpy as np
import tinygrad_ce as tg
from tinygrad_ce import closed_form
{imports}
z = tg.Tensor({logits}, requires_grad=True, dtype=np.{dtype}, name="z")
t, C = {label}, {n}
{soft}y = tg.Tensor({target}, dtype=np.{dtype}, name="y")
{helpers}
loss = {line}
loss.backward()

print("loss    ", loss.item())
print("backprop", z.grad)
print("p - y   ", closed_form.softmax(z.data) - y.data)

tg.draw(loss).save("loss.svg")  # the graph, with values and gradients
tg.draw(loss).save("loss.html")  # the page that steps through backprop
"""

HELPERS = {
    "e": "e = np.exp(z)",
    "s": "s = z - z.detach().max()  # a constant: it changes no gradient",
    "I": "I = np.eye(C, dtype=z.dtype)",
}


def code_of(setting: Setting) -> str:
    """Return the Python that makes what is seen."""
    used = expression.names_in(setting.line)
    functions = sorted(used.intersection(expression.FUNCTIONS) - {"abs"})
    imports = "".join(f"from {home_of(name)} import {name}\n" for name in functions)
    soft = setting.soft is not None
    target = "w / w.sum()" if soft else "np.eye(C)[t]"
    if smoothing := setting.smoothing:
        target = f"(1 - {smoothing}) * {target} + {smoothing} / C"
    return CODE.format(
        imports=imports,
        logits=setting.logits,
        dtype=setting.dtype,
        label=setting.label,
        n=len(setting.logits),
        soft=f"w = np.array({setting.soft})\n" if soft else "",
        target=target,
        helpers="".join(f"{code}\n" for name, code in HELPERS.items() if name in used).rstrip(),
        line=" ".join(setting.line.split()),
    )


def home_of(function: str) -> str:
    """The module from which a function of an expression is imported."""
    found = expression.FUNCTIONS[function].__module__
    return "tinygrad_ce.functional" if ".functional" in found else "tinygrad_ce"
