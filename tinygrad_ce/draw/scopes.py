"""Scopes as they are drawn: open frames, and folded ones, which are one box each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from ..engine.graph import Scope
from ..engine.tensor import Tensor

# With more than this, scopes are folded unless a depth is given.
MAX_OPEN = 500

# Scopes nested deeper than this are folded: Graphviz walks nested clusters by recursion.
MAX_NESTING = 32


@dataclass(eq=False, slots=True)
class ScopeFrame:
    """A scope as it is drawn: an open frame, or folded to one box.

    `size` counts the tensors in it, `has_input` tells whether an edge comes in from outside,
    `repeats` how many scopes that follow one another and are alike it represents.
    """

    id: str
    name: str
    outer: ScopeFrame | None
    level: int
    folded: bool
    size: int = 0
    has_input: bool = False
    repeats: int = 1


class ScopeFrames:
    """The frame of each scope, and of scopes inside a folded one: that one."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.all: list[ScopeFrame] = []
        self._known: dict[int, ScopeFrame] = {}

    def of(self, scope: Scope | None) -> ScopeFrame | None:
        """Return the frame in which what a scope has computed is drawn."""
        unknown = []
        while scope is not None and id(scope) not in self._known:
            unknown.append(scope)
            scope = scope.parent
        frame = None if scope is None else self._known[id(scope)]
        for scope in reversed(unknown):
            if frame is None or not frame.folded:
                level = 1 if frame is None else frame.level + 1
                name = f"s{len(self._known)}"
                frame = ScopeFrame(name, scope.name, frame, level, level >= self.depth)
                self.all.append(frame)
            self._known[id(scope)] = frame
        return frame


def enclosing(frame: ScopeFrame | None, until: ScopeFrame | None = None) -> Iterator[ScopeFrame]:
    """Yield this frame and those around it, from the inside out, up to but excluding `until`."""
    while frame is not None and frame is not until:
        yield frame
        frame = frame.outer


def innermost_common(a: ScopeFrame | None, b: ScopeFrame | None) -> ScopeFrame | None:
    """Return the innermost frame around both."""
    around = set(enclosing(a))
    return next((frame for frame in enclosing(b) if frame in around), None)


def merge_repeats(
    nodes: Sequence[Tensor], frames: Sequence[ScopeFrame | None]
) -> list[ScopeFrame | None]:
    """Let the first of folded scopes that follow one another and are alike represent them all.

    Alike are scopes of one name inside one scope, that compute the same primitives on the same
    shapes. What is computed between them keeps them apart: they would be drawn in a circle.
    """
    pairs = zip(nodes, frames, strict=True)
    computed = [(frame, node.primitive.name, node.shape) for node, frame in pairs if node.primitive]
    runs = [
        (frame, [(name, shape) for _, name, shape in run])
        for frame, run in groupby(computed, itemgetter(0))
    ]
    entered = Counter(id(frame) for frame, _ in runs)
    merged: dict[int, ScopeFrame] = {}
    last: tuple[ScopeFrame, list[Any]] | None = None
    for frame, made in runs:
        if frame is None or not frame.folded or entered[id(frame)] > 1:
            last = None
        elif last and (last[0].name, last[0].outer, last[1]) == (frame.name, frame.outer, made):
            last[0].repeats += 1
            merged[id(frame)] = last[0]
        else:
            last = (frame, made)
    return [frame and merged.get(id(frame), frame) for frame in frames]


def legible_depth(nodes: Sequence[Tensor]) -> int | None:
    """Return the depth at which at most `MAX_OPEN` tensors stay open; None where all can be."""
    if len(nodes) <= MAX_OPEN:
        return None
    levels = Counter(_level(node.scope) for node in nodes if node.primitive is not None)
    deepest = max(levels, default=0)
    for depth in range(min(deepest, MAX_NESTING), 0, -1):
        if sum(n for level, n in levels.items() if level < depth) <= MAX_OPEN:
            return depth
    return 1 if deepest else None


def _level(scope: Scope | None) -> int:
    level = 0
    while scope is not None and level <= MAX_NESTING:
        level, scope = level + 1, scope.parent
    return level
