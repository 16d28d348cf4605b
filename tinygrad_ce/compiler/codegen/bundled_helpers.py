"""The functions of this package that a module takes along, so that it runs with NumPy alone."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

from ..ir import Program
from ..memory import Plan, unheld
from .expressions import own_function


def helper_sources(program: Program, plan: Plan) -> dict[str, str]:
    """The sources of the functions of this package that are called, and those that they call."""
    functions = [*map(own_function, program.ops), *[unheld] * bool(plan.spares)]
    todo = [(f.__name__, f) for f in functions if f is not None]
    found: dict[str, str] = {}
    while todo:
        name, function = todo.pop()
        if name in found:
            continue
        plain = inspect.unwrap(function)
        found[name] = _text_of(plain)
        scope = plain.__globals__
        for other in _names_in(plain.__code__):
            value = scope.get(other)
            if inspect.isfunction(inspect.unwrap(value)) if callable(value) else False:
                todo.append((other, value))
    return found


@cache
def _text_of(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function))


def _names_in(code: Any) -> tuple[str, ...]:
    inner = [c for c in code.co_consts if inspect.iscode(c)]
    return (*code.co_names, *(name for c in inner for name in _names_in(c)))


def imports(helpers: str) -> list[str]:
    """What stands at the top of a module with these helpers."""
    lines = ["from __future__ import annotations", ""] * bool(helpers)
    standard = ["import math"] * ("math." in helpers)
    standard += ["from functools import cache"] * ("@cache" in helpers)
    standard += ["from sys import getrefcount"] * ("getrefcount(" in helpers)
    return [*lines, *standard, *[""] * bool(standard), "import numpy as np", ""]


def without_underscores(text: str) -> str:
    """The text with helpers called by their names alone, where these are not in use."""
    for helper in re.findall(r"^def _(\w+)", text, re.MULTILINE):
        if not re.search(rf"\b{helper}\b", text):
            text = re.sub(rf"\b_{helper}\b", helper, text)
    return text
