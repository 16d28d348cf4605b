"""The net under compiled steps: now and then, the step itself runs too, and must do the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.array_types import Value
from ..engine.graph import Node
from ..engine.tensor import Tensor
from .guards import MISSING, StateRef, attribute_of, is_same, same_bits
from .ir import Program
from .runtime import GUARD_FAILED, Replay

Compare = Callable[[Any, Any], bool]


class VerificationError(RuntimeError):
    """A compiled step has not done what the step itself does.

    Attributes
    ----------
    result
        What the step itself has returned. What it has written is left as it is.
    """

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result


class Net:
    """Calls a program, takes back what it has done, runs the step itself, and compares.

    Parameters
    ----------
    program, generators
        What is computed, and what it draws from.
    fast
        Whether last digits may differ.
    """

    def __init__(self, program: Program, generators: list[Any], fast: bool) -> None:
        self.written = [ref for ref, _ in [*program.writes, *program.settings]]
        self.generators = generators
        self.same: Compare = nearly_same if fast else same
        refs = [op.state for op in program.reads if op.state] + self.written
        refs += [ref for ref, _ in program.guards]
        owners = [ref.owner for ref in refs] + [leaf for leaf, _ in program.frozen_leaves]
        self.owners = list({id(owner): owner for owner in owners}.values())

    def call(self, name: str, replay: Replay, values: list[Any], step: Callable[[], Any]) -> Any:
        """Return the values of the results, or GUARD_FAILED.

        Raises
        ------
        VerificationError
            The step itself has returned or left behind something else.
        """
        before = {ref: ref.content for ref in self.written}
        states = [g.bit_generator.state for g in self.generators]
        results = replay.call(*values)
        if results is GUARD_FAILED:
            return results
        compiled, drawn = self.state(), [g.bit_generator.state for g in self.generators]
        for ref, value in before.items():
            if ref.content is not value:
                ref.restore(value)
        for generator, state in zip(self.generators, states, strict=True):
            generator.bit_generator.state = state
        result = step()
        differing = _differing("the result", replay.rebuild(results), result, self.same)
        eager = self.state()
        for key in {**compiled, **eager}:
            if not self.same(compiled.get(key, (0, MISSING))[1], eager.get(key, (0, MISSING))[1]):
                differing.append((eager.get(key) or compiled[key])[0].describe())
        if repr(drawn) != repr([g.bit_generator.state for g in self.generators]):
            differing.append("the state of a generator")
        if differing:
            raise VerificationError(
                f"compiled, {name} does not do what the step itself does: {', '.join(differing)} "
                "differ. What the step itself has left is in place, and `error.result` is what it "
                f"returned. To go on uncompiled, call {name}.__wrapped__; compile's docstring says "
                "what a step can rely on",
                result,
            )
        return results

    def state(self) -> dict[Any, tuple[StateRef, Any]]:
        """Whatever is kept by those of whom the program reads, and to whom it writes."""
        found = {}
        for owner in self.owners:
            attributes: Any = getattr(owner, "__dict__", None)
            if isinstance(owner, Node):
                refs = [StateRef(owner, name) for name in ("_value", "_grad", "_requires_grad")]
            elif attributes is None or isinstance(owner, type) or "__wrapped__" in attributes:
                refs = [ref for ref in self.written if ref.owner is owner]
            else:
                refs = [StateRef(owner, name) for name in attribute_of(owner, "__dict__")]
            for ref in refs:
                content = ref.content
                found[ref.identity] = ref, [*content] if type(content) is list else content
        return found


def _differing(name: str, compiled: Any, eager: Any, same: Compare) -> list[Any]:
    """The names of those parts of a result that are not the same."""
    if type(eager) is type(compiled) and isinstance(eager, tuple | list | dict):
        keys: Any = eager.keys() if isinstance(eager, dict) else range(len(eager))
        if len(eager) != len(compiled) or (isinstance(eager, dict) and [*keys] != [*compiled]):
            return [name]
        parts = [_differing(f"{name}[{k!r}]", compiled[k], eager[k], same) for k in keys]
        return [part for found in parts for part in found]
    return [] if same(compiled, eager) else [name]


def _value(x: Any) -> Value:
    return x._value if isinstance(x, Tensor) else x


def same(a: Any, b: Any) -> bool:
    """Whether what a program has left is what the step has left, to the last bit."""
    if type(a) is type(b) is list:
        return len(a) == len(b) and all(map(same, a, b))
    if a is b:
        return True
    a, b = _value(a), _value(b)
    numbers = isinstance(a, np.ndarray | np.generic | float | int)
    if numbers and isinstance(b, np.ndarray | np.generic | float | int):
        return same_bits(a, b)
    return is_same(a, b) or not isinstance(a, np.ndarray | bool | str | None)


def nearly_same(a: Any, b: Any) -> bool:
    """Whether arrays differ by at most √ε in their norm, and all else not at all.

    Not element by element: the first step of Adam has the size of the learning rate, in a direction
    that hangs on the sign of a gradient which may be nothing but rounding.
    """
    if type(a) is type(b) is list:
        return len(a) == len(b) and all(map(nearly_same, a, b))
    if same(a, b):
        return True
    x, y = np.asarray(_value(a)), np.asarray(_value(b))
    if (x.dtype, x.shape) != (y.dtype, y.shape) or x.dtype.kind != "f":
        return False
    finite = np.isfinite(y)
    if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
        return False
    x, y = x[finite], y[finite]
    scale = abs(y).max(initial=0) or 1  # so that no square overflows
    difference, norm = (np.linalg.norm(v / scale) for v in (x - y, y))
    return bool(difference <= np.sqrt(np.finfo(x.dtype).eps) * norm)
