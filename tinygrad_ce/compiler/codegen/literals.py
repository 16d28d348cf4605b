"""Pieces of source: numbers and arrays as they are written out, and lines of a width to be read."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import Op, is_range, is_uniform

WIDTH = 99


@dataclass
class Text:
    """An expression, and whether it needs no parentheses next to an operator."""

    text: str
    atomic: bool = True

    def __str__(self) -> str:
        return self.text if self.atomic else f"({self.text})"


def number(value: Any, exact: Any = None) -> Text:
    """A Python number; in place of a NumPy scalar, as short as that is written."""
    if isinstance(value, float) and not np.isfinite(value):
        text = "np.nan" if np.isnan(value) else "np.inf"
        return Text(text) if not value < 0 else Text(f"-{text}", False)
    text = repr(value)
    if exact is not None and isinstance(value, float):
        short = np.format_float_scientific(exact) if abs(value) > 1e16 else str(exact)
        text = short if type(exact)(float(short)) == exact else text
    return Text(text, not text.startswith("-"))


def array(value: Any) -> str:
    """A constant array: what makes it, or its numbers."""
    if value.flags.c_contiguous and is_range(value.reshape(-1)):
        shape = "" if value.ndim == 1 else f".reshape{value.shape}"
        step = int(value.flat[1])
        ends = str(value.size) if step == 1 else f"0, {value.size * step}, {step}"
        return f"np.arange({ends}){shape}"
    if is_uniform(value):
        if value.ndim == 1 and value[0] == 1:
            return f"np.ones({value.size}, {dtype_name(value.dtype)})"
        one = number(value.flat[0].item(), value.flat[0]).text
        return f"np.full({value.shape}, {one}, {dtype_name(value.dtype)})"
    numbers = np.array2string(
        value, separator=", ", threshold=value.size + 1, max_line_width=10**9, floatmode="unique"
    ).replace("\n", "")
    numbers = numbers.replace("nan", "np.nan").replace("inf", "np.inf")
    if not value.size:
        return f"np.empty({value.shape}, {dtype_name(value.dtype)})"
    return f"np.array({numbers}, {dtype_name(value.dtype)})"


def empty(op: Op) -> str:
    """Memory for a result."""
    return f"np.empty({op.shape}, {dtype_name(op.dtype)})"


def dtype_name(dtype: Any) -> str:
    """A dtype: bool, NumPy's name, or a string where the bytes are in another order."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return "bool"
    return f"np.{dtype.name}" if dtype.isnative else repr(dtype.str)


def parameter(value: Any) -> Text:
    """What a primitive is called with besides arrays."""
    return Text(dtype_name(value)) if isinstance(value, np.dtype) else number(value)


def argument(value: Any) -> str:
    """An argument of a draw."""
    if type(value) in (tuple, list):
        parts = ", ".join(map(argument, value))
        return f"[{parts}]" if type(value) is list else f"({parts}{',' * (len(value) == 1)})"
    if isinstance(value, np.generic):
        return f"{dtype_name(value.dtype)}({argument(value.item())})"
    return parameter(value).text


def slice_text(part: Any) -> str:
    """A part of an index that is no array."""
    if part is Ellipsis:
        return "..."
    if isinstance(part, slice):
        ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
        return ":".join(ends) + (f":{part.step}" if part.step is not None else "")
    return repr(part)


# ── Lines ─────────────────────────────────────────────────────────────────────────────────────────


def wrap(start: str, text: str, end: str = "", room: int = 0) -> list[str]:
    """A statement, broken into lines behind commas or in front of operators if it is too long."""
    whole = start + text + end
    if len(whole) + 4 + room <= WIDTH:
        return [whole]
    if not end:
        start, end = start + "(", ")"
    lines = textwrap.wrap(text, WIDTH - 8 - room, break_long_words=False, break_on_hyphens=False)
    return [start, *("    " + line for line in lines), end]


def format_assignment(names: str, call: str) -> list[str]:
    """An indented assignment of what a call returns, a tuple, for a docstring."""
    names += "," * ("," not in names and bool(names))
    if len(names) + len(call) + 11 <= WIDTH:
        return [f"    {names} = {call}"]
    function, _, given = call.removesuffix(")").partition("(")
    lines = []
    for start, text, end in (("(", names, f") = {function}("), ("", given, ")")):
        rest = textwrap.wrap(text, WIDTH - 12, break_long_words=False)
        lines += [*[start] * bool(start), *("    " + line for line in rest), end]
    return ["    " + line for line in lines]


def free_name(name: str, taken: set[str]) -> str:
    """A name that is not in use."""
    return name if name not in taken else free_name(f"_{name}", taken)
