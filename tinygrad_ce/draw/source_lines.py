"""Remember by which line of code tensors were made, and to which variables they were assigned."""

from __future__ import annotations

import ast
import linecache
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from types import CodeType
from typing import Any
from weakref import finalize

import tinygrad_ce.engine

from ..engine.caller import line_of_user
from ..engine.context import Mode, Switch
from ..engine.graph import Node
from ..engine.hooks import Observer
from ..engine.primitives import Primitive

_ENGINE = os.path.dirname(tinygrad_ce.engine.__file__) + os.sep
_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_DRAW = os.path.dirname(__file__) + os.sep

MAX_CALLS = 12  # how far out the variable is looked for to which a returned value is assigned

Instruction = tuple[CodeType, int]
Span = tuple[int | None, ...]  # first and last line, first and last column


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a tensor was made: which line, and which instructions outside and inside the engine."""

    line: str
    calls: tuple[Instruction, ...]  # from the innermost out
    inside: tuple[Instruction, ...]


# By the number of the tensor's creation, as long as it lives. No WeakKeyDictionary: that compares
# its keys with ==, which for Tensors compares their elements.
_ORIGINS: dict[int, _Origin] = {}


class remember_variables(Switch):
    """Compute inside, and it will be known to which variable each tensor was assigned."""

    __slots__ = ()

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, in which variables are noted."""
        return parent.derive(observers=(*parent.observers, _Origins(lines=False)))


class remember_lines(Switch):
    """Compute inside, and the page will tell of each tensor which line of your code made it.

    A tensor without a name gets that of the variable to which it was assigned, also in a function
    that has returned. Looking this up takes some microseconds for each operation: for a look at a
    graph, not for training.

    >>> import tinygrad_ce as tg
    >>> from tinygrad_ce.draw import remember_lines
    >>> from tinygrad_ce.draw.source_lines import line_of
    >>> with remember_lines():
    ...     y = tg.Tensor(2.0, requires_grad=True).exp()
    >>> line_of(y)
    '<doctest ...>:2: y = tg.Tensor(2.0, requires_grad=True).exp()'

    Also a decorator: ``@remember_lines``.
    """

    __slots__ = ()

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, in which lines are noted."""
        return parent.derive(observers=(*parent.observers, _Origins(lines=True)))


class _Origins(Observer):
    """Notes where each node is made, and on demand by which line of the user."""

    __slots__ = ("lines",)

    def __init__(self, lines: bool) -> None:
        self.lines = lines

    def forward(self, node: Node, primitive: Primitive, arguments: tuple[Any, ...]) -> None:
        inside: list[Instruction] = []
        calls: list[Instruction] = []
        for instruction in _instructions():
            is_inside = not calls and instruction[0].co_filename.startswith((_ENGINE, _DRAW))
            (inside if is_inside else calls).append(instruction)
            if len(calls) == MAX_CALLS:
                break
        line = line_of_user() if self.lines else line_of(node)
        _ORIGINS[node.index] = _Origin(line, tuple(calls), tuple(inside))
        finalize(node, _ORIGINS.pop, node.index, None).atexit = False


def _instructions() -> Iterator[Instruction]:
    """What is being executed, from the caller out; calls within the engine are passed over."""
    frame = sys._getframe(2)
    outside = False
    while frame is not None:
        is_engine = frame.f_code.co_filename.startswith(_ENGINE)
        outside = outside or not is_engine
        if not (outside and is_engine):
            yield frame.f_code, frame.f_lasti
        frame = frame.f_back  # type: ignore[assignment]


def line_of(node: Node) -> str:
    """The line that made a tensor, if it was made under `remember_lines`, else nothing."""
    return _ORIGINS[node.index].line if node.index in _ORIGINS else ""


def assigned_names(nodes: Sequence[Node], in_package: bool = False) -> dict[int, str]:
    """Return the variables to which nodes were assigned when they were made, by their number.

    Those of the user's code, or those of this package; of the latter, a single letter says too
    little. Where one call of the engine made several tensors, such as for a variance, the last is
    its result.

    >>> import tinygrad_ce as tg
    >>> def square(x):
    ...     y = x * x
    ...     return y
    >>> with remember_lines():
    ...     z = square(tg.Tensor(2.0, requires_grad=True))
    >>> list(assigned_names([z]).values())
    ['y']
    """
    names: dict[int, str] = {}
    calls: tuple[Instruction, ...]
    last, calls = -1, ()
    inside: set[tuple[Instruction, ...]] = set()
    for node in sorted(nodes, key=lambda node: node.index):
        if (origin := _ORIGINS.get(node.index)) is None:
            continue
        if origin.calls == calls and origin.inside not in inside:
            names.pop(last, None)  # the same call goes on
        else:
            inside.clear()
        inside.add(origin.inside)
        last, calls = node.index, origin.calls
        name, is_of_package = _assigned(origin.calls)
        if name and is_of_package is in_package and (len(name) > 1 or not in_package):
            names[node.index] = name
    return names


def _assigned(calls: Sequence[Instruction]) -> tuple[str, bool]:
    """The variable that gets what an instruction computes, or what its function then returns.

    And whether that is in code of this package.
    """
    for code, place in calls:
        span = next(islice(code.co_positions(), place // 2, None), None)
        target = _targets(code.co_filename).get(span) if span else None
        if target is None:
            break
        if target:
            return target, code.co_filename.startswith(_PACKAGE)
    return "", False


@lru_cache(maxsize=64)
def _targets(filename: str) -> dict[Span, str]:
    """Of each expression in a file that is assigned to a variable: that; of a returned one: ''."""
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return {}
    found: dict[Span, str] = {}
    for node in ast.walk(tree):
        match node:
            case (
                ast.Assign(targets=[ast.Name(name)], value=value)
                | ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value)
                | ast.NamedExpr(target=ast.Name(name), value=value)
            ):
                found[_span(value)] = name
            case ast.AugAssign(target=ast.Name(name)):
                found[_span(node)] = name
            case ast.Return(value=ast.expr() as value):
                found[_span(value)] = ""
    return found


def _span(node: ast.expr | ast.stmt) -> Span:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset
