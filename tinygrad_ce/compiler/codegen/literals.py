"""Pieces of source: numbers, arrays and names as they are written, and lines of a width to be read.

All names come from outside, and reach the source through `identifier`, `comment` and `docstring`.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.names import printable
from ..ir import Op, is_range, is_uniform

WIDTH = 99
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
LONGEST_NAME = 80  # characters of a name; of more, it is called by the first ones


@dataclass
class Text:
    """An expression, and whether it needs no parentheses next to an operator."""

    text: str
    atomic: bool = True

    def __str__(self) -> str:
        return self.text if self.atomic else f"({self.text})"


def number(value: Any) -> Text:
    """A Python number; in place of a NumPy scalar, with as few digits as its dtype needs.

    Not as NumPy prints it, since that is a setting of the process.
    """
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        text = "np.nan" if np.isnan(value) else "np.inf"
        return Text(f"-{text}", False) if np.signbit(value) else Text(text)
    if isinstance(value, np.longdouble) and not isinstance(value, float):
        return Text(f"np.longdouble({np.format_float_scientific(value)!r})")
    python = value.item() if isinstance(value, np.generic) else value
    text = repr(python)
    if isinstance(value, np.float16 | np.float32):
        positional = python == 0 or 1e-4 <= abs(python) < 1e16
        write = np.format_float_positional if positional else np.format_float_scientific
        short = write(value, trim="0" if positional else "-")
        text = short if type(value)(float(short)) == value else text
    return Text(text, not text.startswith("-"))


def array(value: Any) -> str:
    """A constant array: what makes it, or its numbers."""
    if value.flags.c_contiguous and is_range(value.reshape(-1)):
        shape = "" if value.ndim == 1 else f".reshape{value.shape}"
        step = int(value.flat[1])
        ends = str(value.size) if step == 1 else f"0, {value.size * step}, {step}"
        return f"np.arange({ends}){shape}"
    dtype = dtype_name(value.dtype)
    if is_uniform(value):
        if value.ndim == 1 and value[0] == 1:
            return f"np.ones({value.size}, {dtype})"
        return f"np.full({value.shape}, {number(value.flat[0]).text}, {dtype})"
    if not value.size:
        return f"np.empty({value.shape}, {dtype})"
    return f"np.array({_nested(value)}, {dtype})"


def _nested(value: Any) -> str:
    """The numbers of an array, as lists of lists."""
    return f"[{', '.join(map(_nested, value))}]" if value.ndim else number(value[()]).text


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
    if isinstance(value, np.dtype | np.generic | tuple | list):
        return Text(argument(value))
    return number(value)


def argument(value: Any) -> str:
    """An argument of a draw, of a check or of a primitive."""
    if type(value) in (tuple, list):
        parts = ", ".join(map(argument, value))
        return f"[{parts}]" if type(value) is list else f"({parts}{',' * (len(value) == 1)})"
    if isinstance(value, np.dtype):
        return dtype_name(value)
    if isinstance(value, np.generic):
        return f"{dtype_name(value.dtype)}({number(value).text})"
    return number(value).text


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
    """A statement, broken into lines at spaces if it is too long, but not within a string."""
    whole = start + text + end
    if len(whole) + 4 + room <= WIDTH:
        return [whole]
    if not end:
        start, end = start + "(", ")"
    text = QUOTED.sub(lambda string: string[0].replace(" ", "\0"), text)  # which no source has
    lines = textwrap.wrap(text, WIDTH - 8 - room, break_long_words=False, break_on_hyphens=False)
    return [start, *("    " + line.replace("\0", " ") for line in lines), end]


def filled(items: list[str], indent: str) -> list[str]:
    """Lines of items, each with a comma behind it."""
    lines, line = [], indent
    for item in items:
        if len(line) + len(item) > WIDTH - 8 and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += item + ", "
    return [*lines, line.rstrip()]


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


# ── Names ─────────────────────────────────────────────────────────────────────────────────────────


def identifier(name: object) -> str:
    r"""A name as one of Python's: what no identifier has becomes an underscore.

    Python folds identifiers by NFKC, so that names of other characters can be one; here, names are
    folded first, and compared as Python compares them.

    >>> [identifier(name) for name in ("layers.0.weight", "x²", "ｎｐ", "_step", "2", "a\n#b")]
    ['layers_0_weight', 'x2', 'np', 'step', 'x_2', 'a_b']
    """
    folded = unicodedata.normalize("NFKC", str(name)[:LONGEST_NAME])[:LONGEST_NAME]
    known = (c if c == "_" or (c.isalnum() and f"x{c}".isidentifier()) else " " for c in folded)
    cleaned = "_".join("".join(known).split()).strip("_") or "x"
    return cleaned if cleaned[0].isidentifier() else f"x_{cleaned}"


def comment(name: object) -> str:
    """A comment made of names."""
    return f"# {printable(name, LONGEST_NAME)}"


def docstring(lines: list[str]) -> list[str]:
    """Lines as a docstring: nothing in them ends it, or is an escape."""
    escaped = "\n".join(lines).replace("\\", "\\\\").replace('"""', r"\"\"\"")
    return [*f'"""{escaped}'.split("\n"), '"""']


def free_name(name: str, taken: set[str]) -> str:
    """A name that is not in use."""
    return name if name not in taken else free_name(f"_{name}", taken)
