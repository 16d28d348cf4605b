"""The arguments and results of a compiled step: values that change, and all that does not."""

from __future__ import annotations

import copy
import inspect
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..arguments import as_numbers
from ..engine.names import printable
from ..engine.tensor import Tensor, constant
from .guards import bits_of
from .outside_state import RecordingError


def describe(argument: Any, values: list[Any], parts: list[Any]) -> None:
    """Add the values of an argument to those that change, and to the key what does not."""
    kind = type(argument)
    if kind is np.ndarray and argument.ndim:
        # An eager step would copy it, and the copy has no gaps, but its axes in the same order.
        whole = argument.flags.c_contiguous and argument.flags.aligned
        _add_array(argument if whole else np.array(argument), values, parts)
    elif kind is Tensor and not argument._requires_grad:
        value = argument._value
        values.append(value if value.flags.aligned else value.copy())
        parts += (type(value), argument.dtype, argument.shape)
        if argument.shape and not value.flags.c_contiguous:
            parts.append(value.strides)
    elif isinstance(argument, np.ndarray | np.generic):
        _add_array(as_numbers(argument, "an argument of a compiled step")[()], values, parts)
    elif kind in (tuple, list):
        parts += (kind, len(argument))
        try:
            for part in argument:
                describe(part, values, parts)
        except RecursionError:
            raise ValueError("an argument of a compiled step is a list that holds itself") from None
    elif kind is dict:
        parts += (kind, len(argument), *map(type, argument), *argument)
        for part in argument.values():
            describe(part, values, parts)
    elif kind is Tensor and argument.primitive is not None:
        raise TypeError(
            f"{argument.label()} was computed from what requires a gradient, and a compiled step "
            "passes none back: give its detach(), or compile the whole computation"
        )
    else:  # 0.0 == -0.0, and nan is not nan, but not so their digits
        parts += (kind, argument.hex() if kind is float else argument)


def _add_array(value: Any, values: list[Any], parts: list[Any]) -> None:
    values.append(value)
    parts += (value.dtype, value.shape)
    if value.shape and not value.flags.c_contiguous:
        parts.append(value.strides)


def as_tensors(
    args: Any, kwargs: Any, names: list[str], inputs: list[Tensor] | None
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments as the step gets them, and append their Tensors to the inputs.

    With None, nothing is recorded, and Tensors among the arguments stay what they are.
    """
    given = [_as_inputs(a, n, inputs) for a, n in zip(args, names, strict=False)]
    return given, {n: _as_inputs(a, n, inputs) for n, a in kwargs.items()}


def _as_inputs(argument: Any, name: str, inputs: list[Tensor] | None) -> Any:
    """The argument with Tensors in the place of the values that change, in the same order."""
    if type(argument) in (tuple, list):
        return type(argument)(_as_inputs(a, f"{name}_{i}", inputs) for i, a in enumerate(argument))
    if type(argument) is dict:
        return {k: _as_inputs(a, f"{name}_{k}", inputs) for k, a in argument.items()}
    if isinstance(argument, np.ndarray | np.generic):
        array = np.array(argument)
        tensor = Tensor(array, copy=False) if array.dtype.kind in "biuf" else Tensor(argument)
    elif type(argument) is Tensor and not argument._requires_grad and inputs is not None:
        tensor = constant(argument._value)
        name = argument.name or name
    else:
        return argument
    if inputs is not None:
        tensor.name = name
        inputs.append(tensor)
    return tensor


def objects_in(argument: Any) -> list[Any]:
    """Return an argument and all that is in it, lists, tuples and dicts included."""
    found = [argument]
    if type(argument) in (list, tuple, dict):
        parts = [*argument, *argument.values()] if type(argument) is dict else argument
        found += [x for part in parts for x in objects_in(part)]
    return found


def argument_names(step: Callable[..., Any], args: Any, kwargs: Any) -> list[str]:
    """Return what the step calls its positional arguments."""
    try:
        bound = inspect.signature(step).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return [f"x_{i}" for i in range(len(args))]
    names: list[str] = []
    for name, value in bound.items():
        several = isinstance(value, tuple) and len(names) + len(value) == len(args) > 1
        names += [f"{name}_{i}" for i in range(len(value))] if several else [name]
    return names + [f"x_{i}" for i in range(len(names), len(args))]


# ── Results ───────────────────────────────────────────────────────────────────────────────────────


class Slot:
    """The place of a Tensor in a result, or of what the step returns as an array or a number.

    A Tensor that requires a gradient has the primitive that computed it, but no graph, as after
    backward(): whoever passes a gradient to it learns that it goes no further.
    """

    def __init__(self, number: int, plain: bool, example: Tensor) -> None:
        self.number = number
        self.plain = plain
        self.primitive = example.primitive if example._requires_grad else None
        self.is_variable = example._requires_grad and example.primitive is None
        self.name = example.name

    def fill(self, value: Any) -> Any:
        """What the step returns here, with this value."""
        if self.plain:
            return value.copy() if type(value) is np.ndarray else value
        tensor = constant(value)
        tensor.name = self.name
        if self.primitive is not None:
            tensor._requires_grad, tensor._tracked_since = True, 0
            tensor.primitive, tensor.inputs, tensor._retains_grad = self.primitive, None, None
        elif self.is_variable:
            tensor.requires_grad = True
        return tensor


class Made:
    """The place of what the step makes at each call: an array, or a container of templates."""

    def __init__(self, example: Any) -> None:
        self.example = example


def tensors_in(result: Any) -> Iterator[Tensor]:
    """Iterate over the Tensors in a result."""
    if isinstance(result, Tensor):
        yield result
    for part in (_parts_of(result) or {}).values():
        yield from tensors_in(part)


def result_template(result: Any, other: Any, slots: dict[Tensor, Slot]) -> Any:
    """Return what a replay makes its result from.

    Parameters
    ----------
    result, other
        What the step has returned at two recordings. What is one object in both comes from outside.
    slots
        Those of the Tensors that the step has computed.

    Raises
    ------
    RecordingError
        The step returns something of its own that a replay cannot make.
    """
    if isinstance(result, Tensor):
        return slots.get(result, result)
    if result is other and slots.keys().isdisjoint(tensors_in(result)):
        return result
    if result is not other and type(result) is type(other):
        parts, others = _parts_of(result), _parts_of(other)
        if parts is not None and others is not None and list(parts) == list(others):
            made = {key: result_template(parts[key], others[key], slots) for key in parts}
            return Made(_with_parts(result, made))
        if isinstance(result, np.ndarray | np.generic) and result.dtype.kind != "O":
            if (result.dtype, bits_of(result)) == (other.dtype, bits_of(other)):
                return Made(result)
        elif getattr(result, "__hash__", None) and (
            result == other or repr(result) == repr(other) == "nan"
        ):
            return result
    raise RecordingError(
        f"the step returned {printable(repr(result), 80)}, which a replay cannot make again: "
        "return Tensors, arrays and numbers, also in tuples, lists, dicts, dataclasses or "
        "namespaces that the step makes itself"
    )


def rebuild(template: Any, values: Any) -> Any:
    """Return what the step returns, with new Tensors of these values, in new containers."""
    if type(template) is Slot:
        return template.fill(values[template.number])
    if type(template) is not Made:
        return template
    parts = _parts_of(template.example)
    if parts is None:
        return copy.copy(template.example)
    made = {key: rebuild(part, values) for key, part in parts.items()}
    return _with_parts(template.example, made)


def _parts_of(tree: Any) -> dict[Any, Any] | None:
    """What is in a container, by index, key or attribute."""
    if isinstance(tree, list | tuple | deque):
        return dict(enumerate(tree))
    if isinstance(tree, dict):
        return dict(tree)
    if isinstance(tree, SimpleNamespace) or (is_dataclass(tree) and not isinstance(tree, type)):
        names = [f.name for f in fields(tree)] if is_dataclass(tree) else []
        names += getattr(tree, "__dict__", ())
        return {name: getattr(tree, name) for name in names if hasattr(tree, name)}
    return None


def _with_parts(tree: Any, parts: dict[Any, Any]) -> Any:
    """A container of the same kind with other parts."""
    if isinstance(tree, tuple):
        return tuple.__new__(type(tree), parts.values())
    new = copy.copy(tree)
    for key, part in parts.items():
        if isinstance(new, list | deque | dict):
            new[key] = part
        else:
            object.__setattr__(new, key, part)
    return new
