"""The functions of this package that a module takes along, so that it runs with NumPy alone."""

from __future__ import annotations

import dis
import inspect
import re
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

from ..ir import Program
from ..memory import Plan, recycled
from .expressions import own_function


def collect_helpers(program: Program, plan: Plan) -> list[str]:
    """Return the sources of the functions of this package that are called, and of those they call.

    Each has an underscore in front of its name, so that no result is called like it.
    """
    called = [*map(own_function, program.ops), *[recycled] * bool(plan.spares)]
    todo: list[Any] = [function for function in called if function is not None]
    found: dict[str, str] = {}
    while todo:
        plain: Any = inspect.unwrap(todo.pop())
        if plain.__name__ not in found:
            found[plain.__name__] = _text_of(plain)
            used = [plain.__globals__.get(name) for name in _globals_of(plain.__code__)]
            todo += [f for f in used if callable(f) and inspect.isfunction(inspect.unwrap(f))]
    calls = re.compile(rf"(?<![\w.])_?({'|'.join(name.lstrip('_') for name in found)})(?=\()")
    return [calls.sub(r"_\1", text) for text in found.values()]


@cache
def _text_of(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function))


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
    for helper in re.findall(r"^def _(\w+)", text, re.MULTILINE):
        if not re.search(rf"\b{helper}\b", text):
            text = re.sub(rf"\b_{helper}\b", helper, text)
    return text
