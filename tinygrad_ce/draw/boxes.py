"""What is written in the box of a tensor, and where: lengths are in points, the SVG's units."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from . import formatting as text
from .diagram import Diagram, Kind, TensorBox
from .formatting import Array
from .heatmap import MAX_CELLS

LINE = 15.0  # from one line of text to the next
PAD = 7.0
DIGIT = 6.05  # the width of a digit of size 10 in a monospaced font
LABEL = 32.0  # the width of the words "value" and "grad" with the gap after them
FIRST = PAD + LABEL - 6  # where numbers begin
GAP = 8.0  # between columns
CELL = 6.0  # a cell of a heat map, at most
MAX_PICTURE = 32.0  # the height of one
SPAN = 88.0  # the width of "-0.123 … -0.123"
MAX_ROW = 190.0  # a vector that takes more is written as a column

NONE = "none arrives"


@dataclass(frozen=True, slots=True, eq=False)
class BoxContent:
    """What is written in a box: of a gradient that is expected, also that none arrives.

    Space is left for the numbers of `reserved`, which the page shows in place of the gradient.
    """

    name: str
    value: Array | None
    gradient: Array | None = None
    expects_gradient: bool = False
    reserved: Sequence[Array] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a value or a gradient is written, `top` being the first baseline."""

    what: str
    label: tuple[float, float]
    top: float
    columns: tuple[float, ...] = ()  # their right ends
    rows: int = 0
    picture: tuple[float, float] | None = None  # the size of a heat map
    unreached: bool = False  # nothing arrives there, and a word says so


@dataclass(frozen=True, slots=True)
class BoxLayout:
    """How large a box is, and what is where in it."""

    width: float
    height: float
    head: tuple[str, str]  # the name, and shape and dtype
    slots: tuple[Slot, ...]


def width_of(words: str, size: float) -> float:
    """Estimate how wide words are in a sans-serif font."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in words)
    return size * (0.58 * (len(words) - wide) + 1.05 * wide)


def contents_of(diagram: Diagram, values: bool) -> dict[str, BoxContent]:
    """Return what a static picture shows of each tensor."""
    return {
        box.id: BoxContent(
            box.name, box.tensor.data if values or is_plain_number(box) else None, box.gradient,
            expects_gradient=diagram.differentiated and box.tensor.requires_grad,
        )
        for box in diagram.boxes
    }  # fmt: skip


def is_plain_number(box: TensorBox) -> bool:
    """Return whether a box shows nothing but its number."""
    return box.kind is Kind.CONSTANT and box.tensor.ndim == 0


def lay_out(box: TensorBox, content: BoxContent) -> BoxLayout:
    """Find a place for everything in a box."""
    shape = box.tensor.shape
    if is_plain_number(box):
        width = _width([text.number(box.tensor.data[()])])
        slot = Slot("value", (0, 0), LINE - 2, (width + PAD,), 1)
        return BoxLayout(width + 2 * PAD, LINE + PAD, ("", ""), (slot,))
    head = (content.name, text.facts(box.tensor.data, bool(content.name)))
    shown: dict[str, list[Array]] = {}
    if content.value is not None:
        shown["value"] = [content.value]
    if content.expects_gradient:
        shown["grad"] = [a for a in (*content.reserved, content.gradient) if a is not None]
    top = PAD + 8 + (LINE if any(head) else 0)
    if len(shape) == 1 and text.shown_in_numbers(shape):
        widths = [_widths(arrays, shape[0]) for arrays in shown.values()]
        row = sum(max(column) + GAP for column in zip(*widths, strict=True))
        if row > max(MAX_ROW, _head_width(head) - LABEL):
            return _with_columns(head, shown, shape[0], top)
    slots = []
    for what, arrays in shown.items():
        slot = _slot(what, shape, arrays, top)
        if slot.rows or slot.picture:
            slots.append(slot)
            top += LINE * slot.rows + (slot.picture[1] + LINE if slot.picture else 0)
    if len(slots) == 2 and len(slots[0].columns) == len(slots[1].columns):
        # The numbers of value and gradient are in the same columns.
        widths = [[b - a for a, b in pairwise((FIRST, *slot.columns))] for slot in slots]
        ends = tuple(accumulate(map(max, *widths), initial=FIRST))[1:]
        slots = [replace(slot, columns=ends) for slot in slots]
    pictures = [LABEL + max(slot.picture[0], SPAN) for slot in slots if slot.picture]
    numbers = [slot.columns[-1] - PAD for slot in slots if slot.columns]
    width = max([_head_width(head), *pictures, *numbers])
    return BoxLayout(width + 2 * PAD, top - 3, head, tuple(slots))


def _slot(what: str, shape: tuple[int, ...], arrays: Sequence[Array], top: float) -> Slot:
    label = (PAD, top)
    if what == "grad" and not arrays and 0 not in shape:
        return Slot(what, label, top, (FIRST + _width([NONE]),), 1, unreached=True)
    rows = math.prod(shape[:-1])
    if text.shown_in_numbers(shape):
        columns = shape[-1] if shape else 1
        ends = accumulate((w + GAP for w in _widths(arrays, columns)), initial=FIRST)
        return Slot(what, label, top, tuple(ends)[1:], rows)
    if 0 in shape:
        return Slot(what, label, top)
    across, down = min(shape[-1], MAX_CELLS), min(rows, MAX_CELLS)
    height = min(max(10.0, down * CELL), MAX_PICTURE)
    return Slot(what, label, top, picture=(max(21.0, across * CELL), height))


def _with_columns(
    head: tuple[str, str], shown: dict[str, list[Array]], n: int, top: float
) -> BoxLayout:
    """Write vectors as columns, side by side."""
    slots, right = [], PAD
    for what, arrays in shown.items():
        width = max(_widths(arrays, 1)[0], _width([NONE]) if not arrays else 0, 26.0)
        rows = n if arrays else 1
        label, end = (right + width - 26, top), right + width
        slots.append(Slot(what, label, top + LINE, (end,), rows, unreached=not arrays))
        right += width + 2 * GAP
    width = max(right - 2 * GAP - PAD, _head_width(head))
    return BoxLayout(width + 2 * PAD, top + LINE * (n + 1) - 3, head, tuple(slots))


def _head_width(head: tuple[str, str]) -> float:
    name, facts = head
    return width_of(name, 11) + (6 if name else 0) + width_of(facts, 9)


def _widths(arrays: Sequence[Array], columns: int) -> list[float]:
    """Return how wide each column of numbers is."""
    rows = [list(map(text.number, row)) for a in arrays for row in a.reshape(-1, columns)]
    return [_width(column) for column in zip(*rows, strict=True)] or [0.0] * columns


def _width(numbers: Sequence[str]) -> float:
    return DIGIT * max(map(len, numbers))
