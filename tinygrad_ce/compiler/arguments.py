"""The arguments and results of a compiled step: values that change, and all that does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.array_input import as_numbers
from ..engine.tensor import Tensor, constant


def describe(argument: Any, values: list[Any], parts: list[Any]) -> None:
    """Add the values of an argument to those that change, and to the key what does not."""
    kind = type(argument)
    if kind is np.ndarray and argument.ndim:
        # An eager step would copy it, and the copy has its axes in order.
        values.append(argument if argument.flags.c_contiguous else argument.copy())
        parts += (argument.dtype, argument.shape)
    elif kind is Tensor and not argument._requires_grad:
        value = argument._value
        values.append(value)
        parts += (type(value), argument.dtype, argument.shape)
        if argument.shape and not value.flags.c_contiguous:
            parts.append(value.strides)
    elif isinstance(argument, np.ndarray | np.generic):
        if isinstance(argument, np.ma.MaskedArray):
            as_numbers(argument, "an argument of a compiled step")  # raises
        values.append(np.array(argument)[()])
        parts += (argument.dtype, argument.shape)
    elif kind in (tuple, list):
        parts += (kind, len(argument))
        for part in argument:
            describe(part, values, parts)
    elif kind is dict:
        parts += (kind, *argument)
        for part in argument.values():
            describe(part, values, parts)
    elif kind is Tensor and argument.primitive is not None:
        raise TypeError(
            f"{argument.label()} was computed from what requires a gradient, and a compiled step "
            "passes none back: give its detach(), or compile the whole computation"
        )
    else:  # 0.0 == -0.0, and nan is not nan, but not so their digits
        parts += (kind, argument.hex() if kind is float else argument)


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
        array = np.array(argument, order="C")
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


class Slot:
    """The place of a Tensor in a result."""

    def __init__(self, number: int) -> None:
        self.number = number


def map_tensors(f: Callable[[Any], Any], tree: Any) -> Any:
    """Return a result with each Tensor in it, or its slot, replaced."""
    if isinstance(tree, Tensor | Slot):
        return f(tree)
    if type(tree) in (tuple, list):
        return type(tree)([map_tensors(f, part) for part in tree])
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[map_tensors(f, part) for part in tree])
    if type(tree) is dict:
        return {key: map_tensors(f, part) for key, part in tree.items()}
    return tree
