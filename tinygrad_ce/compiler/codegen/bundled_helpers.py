"""The functions of this package that a module takes along, so that it runs with NumPy alone."""

from __future__ import annotations

import dis
import inspect
import re
import textwrap
from collections import Counter
from functools import cache
from typing import Any

from ...engine.names import printable
from ..ir import Program
from ..memory import Plan, recycled
from ..outside_state import RecordingError
from .expressions import helper_name, own_function
from .naming import RESERVED


def collect_helpers(program: Program, plan: Plan) -> list[str]:
    """Return the sources of the functions of this package that are called, and of those they call.

    Each has an underscore in front of its name, so that no result is called like it.

    Raises
    ------
    RecordingError
        A primitive of the user's own is computed by what is no function that works by itself.
    """
    called = [*map(own_function, program.ops), *[recycled] * bool(plan.spares)]
    todo = [inspect.unwrap(function) for function in called if function is not None]
    found: dict[Any, str] = {}
    while todo:
        function = todo.pop()
        if function not in found:
            found[function], used = _source_of(function)
            todo += used
    names = Counter(map(helper_name, found))
    known = RESERVED.union(function.__name__ for function in found)
    for function, text in found.items():
        name, code = helper_name(function), function.__code__
        alone = known.issuperset(_globals_of(code)) and not code.co_freevars
        defined = text.removeprefix("@cache\n").startswith(f"def {name}(")
        if not alone or not defined or names[name] > 1:
            raise _cannot_bundle(function)
    return list(found.values())


def _cannot_bundle(function: Any) -> RecordingError:
    return RecordingError(
        f"{printable(repr(function), 80)} computes a primitive, and cannot be written out: that "
        "takes a function by def, with a name of its own, of NumPy, math and other such functions"
    )


@cache
def _source_of(function: Any) -> tuple[str, list[Any]]:
    """The text of a function, and the functions of this package that it calls."""
    if not inspect.isfunction(function):
        raise _cannot_bundle(function)
    known = [function.__globals__.get(name) for name in _globals_of(function.__code__)]
    plain = [inspect.unwrap(f) for f in known if callable(f)]
    used = [f for f in plain if inspect.isfunction(f)]
    text = textwrap.dedent(inspect.getsource(function))
    for f in (function, *used):
        text = re.sub(rf"(?<![\w.]){re.escape(f.__name__)}(?=\()", helper_name(f), text)
    return text, used


def _globals_of(code: Any) -> list[str]:
    inner = [c for c in code.co_consts if inspect.iscode(c)]
    own = [i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"]
    return [*own, *(name for c in inner for name in _globals_of(c))]


def imports(helpers: str) -> list[str]:
    """Return the lines at the top of a module with these helpers."""
    lines = ["from __future__ import annotations", ""] * bool(helpers)
    standard = ["import math"] * ("math." in helpers)
    standard += ["from functools import cache"] * ("@cache" in helpers)
    standard += ["from sys import getrefcount"] * ("getrefcount(" in helpers)
    return [*lines, *standard, *[""] * bool(standard), "import numpy as np", ""]


def strip_underscores(text: str) -> str:
    """Call helpers by their names alone, where these are not in use."""
    words = set(re.findall(r"\w+", text))
    free = [name for name in re.findall(r"^def _(\w+)", text, re.MULTILINE) if name not in words]
    return re.sub(rf"\b_({'|'.join(free)})\b", r"\1", text) if free else text
