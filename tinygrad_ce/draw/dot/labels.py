"""Labels in Graphviz's HTML-like language: what is written in boxes, ovals and the legend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .. import formatting as text
from .. import heatmap as heat
from ..diagram import Box, Kind, Oval, Picture, Region
from ..interactive.array_pool import shown_in_numbers
from . import style
from .style import LOOKS, OVAL, Look

MAX_WIDTH = 26  # characters of a vector in one row; a longer one becomes a column

MAX_CELLS = 8  # of a heat map, along each side
MAX_MAPS = 60  # in a picture with more boxes than this, large arrays have no heat map
CELL = "6"  # its size, in points

Grid = list[list[str]]


class Block(NamedTuple):
    """A heading, a colour, rows of numbers, and of a large array its heat map."""

    head: str
    color: str
    grid: Grid
    map: text.Array | None = None


def box_label(box: Box, picture: Picture, values: bool = True) -> str:
    """A tensor: name, shape, dtype; value and gradient."""
    t = box.tensor
    if box.kind is Kind.CONSTANT and t.ndim == 0:
        return _label(text.number(t.data[()]))
    with_maps = len(picture.boxes) <= MAX_MAPS
    blocks = [_block("value", style.TEXT, t.data, with_maps)] if values else []
    if picture.differentiated and t.requires_grad:
        if box.gradient is None:
            blocks.append(Block("grad", style.MUTED, [["none arrives"]]))
        else:
            blocks.append(_block("grad", style.GRADIENT, box.gradient, with_maps))
    blocks = [block for block in blocks if block.grid]
    if t.ndim == 1 and _width(blocks) > MAX_WIDTH:
        blocks = [block._replace(grid=_transposed(block.grid)) for block in blocks]
    rows, columns = _numbers(blocks)
    head = _cell(_head(box), ALIGN="LEFT", COLSPAN=str(columns))
    return _label(_table([head, *rows]))


def oval_label(oval: Oval) -> str:
    """A primitive: its symbol, and the parameters that matter."""
    params = text.html(text.params(oval.primitive.params, oval.params))
    symbol = oval.primitive.symbol
    if symbol == "[ ]":  # with room for the index
        return _label(f"[{params}]")
    return _label(text.html(symbol) + (f" {_muted(params)}" if params else ""))


def region_label(region: Region) -> str:
    """The name at the frame of an open scope."""
    return _label(f"<B>{text.html(text.visible(region.name)) or ' '}</B>")


def fold_label(region: Region) -> str:
    """A folded scope: its name, and how much is in it."""
    name = text.html(text.visible(region.name)) or " "
    times = f" × {region.times}" if region.times > 1 else ""
    tensors = "1 tensor" if region.size == 1 else f"{region.size:,} tensors"
    return _label(_table([_cell(f"<B>{name}</B>{times}"), _cell(_muted(tensors))]))


# ── Tensors ───────────────────────────────────────────────────────────────────────────────────────


def _head(box: Box) -> str:
    t = box.tensor
    name = text.html(box.name)
    facts = [str(t.shape) if t.ndim else "" if name else "scalar"]
    if t.dtype != "float64":
        facts.append(str(t.dtype))
    shown = text.html(" ".join(filter(None, facts)))
    if not name:
        return _words(shown)
    bold = _font(f"<B>{name}</B>", FACE=style.FONT, POINT_SIZE="11")
    return bold + (f" {_words(shown)}" if shown else "")


def _block(head: str, color: str, array: text.Array, with_map: bool) -> Block:
    """A small array as rows of numbers, a large one as a heat map and what can be said of it."""
    if shown_in_numbers(array.shape):
        return Block(head, color, text.rows(array))
    span = text.span(array)
    mapped = heat.cells(array, MAX_CELLS) if span and with_map else None
    return Block(head, color, [[span]] if span else [], mapped)


def _width(blocks: Sequence[Block]) -> int:
    """The characters in a row of the table: each column is as wide as its widest number."""
    rows = [row for block in blocks for row in block.grid]
    return sum(max(map(len, column)) + 1 for column in zip(*rows, strict=False))


def _transposed(grid: Grid) -> Grid:
    return [list(column) for column in zip(*grid, strict=True)]


def _numbers(blocks: Sequence[Block]) -> tuple[list[str], int]:
    """The rows of a table for value and gradient, and its number of columns.

    Tall, narrow blocks stand side by side, the others one below the other.
    """
    heights = {len(block.grid) for block in blocks}
    width = max((len(block.grid[0]) for block in blocks), default=0)
    blocks = [block._replace(grid=text.aligned(block.grid)) for block in blocks]
    if len(heights) == 1 and max(heights) >= 3 and width <= 2:
        return _side_by_side(blocks, width), width * len(blocks)
    return _stacked(blocks, width), width + 1


def _side_by_side(blocks: Sequence[Block], width: int) -> list[str]:
    heads = [_cell(_words(block.head), ALIGN="RIGHT", COLSPAN=str(width)) for block in blocks]
    rows = [
        "".join(_number(n, block.color) for block in blocks for n in block.grid[i])
        for i in range(len(blocks[0].grid))
    ]
    return ["".join(heads), *rows]


def _stacked(blocks: Sequence[Block], width: int) -> list[str]:
    rows = []
    for head, color, grid, mapped in blocks:
        if mapped is not None:
            columns = str(width) if width > 1 else ""
            picture = _cell(_heat_map(mapped), ALIGN="RIGHT", COLSPAN=columns)
            rows.append(_cell(_words(head), ALIGN="LEFT") + picture)
        for i, numbers in enumerate(grid):
            said = i or mapped is not None
            shown = _cell(_words(" " if said else head), ALIGN="LEFT")
            columns = str(width) if len(numbers) < width else ""
            rows.append(shown + "".join(_number(n, color, columns) for n in numbers))
    return rows


def _number(number: str, color: str, columns: str = "") -> str:
    shown = "&#160;" + text.html(number)
    if color != style.TEXT:
        shown = _font(shown, COLOR=color)
    return _cell(shown, ALIGN="RIGHT", COLSPAN=columns)


def _heat_map(mapped: text.Array) -> str:
    rows = [
        "".join(
            _cell("", BGCOLOR=f"#{r:02x}{g:02x}{b:02x}", WIDTH=CELL, HEIGHT=CELL, FIXEDSIZE="TRUE")
            for r, g, b in row
        )
        for row in heat.colours(mapped)
    ]
    height, width = (str(n * int(CELL) + 2) for n in mapped.shape)
    return _table(
        rows,
        BORDER="1",
        CELLBORDER="0",
        CELLPADDING="0",
        COLOR=style.SCOPE_LINE,
        FIXEDSIZE="TRUE",  # or it would be stretched to the width of its column
        WIDTH=width,
        HEIGHT=height,
    )


# ── The legend ────────────────────────────────────────────────────────────────────────────────────


def legend(picture: Picture, values: bool = True, grads: bool = True) -> str:
    """What the kinds of boxes are called, and what else the picture takes for granted."""
    kinds = {box.kind for box in picture.boxes}
    looks = [look for kind, look in LOOKS.items() if kind in kinds]
    if picture.ovals:
        looks.append(OVAL)
    swatches = _cell(_row(_cell(_swatch(look)) for look in looks), ALIGN="LEFT")
    notes = (
        _cell(_muted(text.html(note)), ALIGN="LEFT") for note in _notes(picture, values, grads)
    )
    return _label(_table([swatches, *notes]))


def _swatch(look: Look) -> str:
    """The word for a kind, framed as the kind is."""
    word = _font(f"&#160;{look.word}&#160;", POINT_SIZE="9")
    line = look.style.removeprefix("filled").strip(",")
    inner = {"BORDER": "1", "COLOR": look.line} if look.double else {}
    return _table(
        [_cell(word, **inner)],
        BORDER="2" if look.width > 1 else "1",
        COLOR=look.line,
        BGCOLOR=look.fill,
        STYLE="ROUNDED" if look.shape == "oval" else line.upper(),
        CELLBORDER="0",
        CELLSPACING="2" if look.double else "0",
        CELLPADDING="1",
    )


def _notes(picture: Picture, values: bool, grads: bool) -> list[str]:
    notes = [_note_on_gradients(picture)] if grads else []
    if picture.depth is not None:
        notes.append(f"folded to depth={picture.depth}, since it has {picture.size:,} tensors")
    if (values or picture.differentiated) and _has_heat_maps(picture):
        notes.append("heat map: blue below 0, white at 0, orange above; black is not finite")
    if any(not arrow.differentiable for arrow in picture.arrows):
        notes.append("dashed arrow: no gradient comes back along it")
    if any(arrow.argument for arrow in picture.arrows):
        notes.append("a, b at arrows: the order of the arguments, as in a − b")
    if any(region.folded for region in picture.regions):
        notes.append("box with a tab: a scope, folded")
    return notes


def _note_on_gradients(picture: Picture) -> str:
    names = [text.visible(str(output.name or "")) or "the output" for output in picture.outputs]
    if picture.differentiated:
        return f"grad: of {' + '.join(names)} with respect to the tensor"
    large = [i for i, output in enumerate(picture.outputs) if output.size != 1]
    if large and any(output.requires_grad for output in picture.outputs):
        size = picture.outputs[large[0]].size
        return f"no gradients: they are of one number, and {names[large[0]]} has {size:,}"
    depend = "depends" if len(names) == 1 else "depend"
    return f"no gradients: {', '.join(names)} {depend} on no tensor that requires one"


def _has_heat_maps(picture: Picture) -> bool:
    return len(picture.boxes) <= MAX_MAPS and any(
        box.tensor.size and not shown_in_numbers(box.tensor.shape) for box in picture.boxes
    )


# ── HTML-like language ────────────────────────────────────────────────────────────────────────────
# The digits' font is the default of boxes, so that words are what has to name its font.


def _label(content: str) -> str:
    return f"<{content}>"


def _element(tag: str, content: str, attributes: dict[str, str]) -> str:
    shown = "".join(
        f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items() if value
    )
    return f"<{tag}{shown}>{content}</{tag}>"


def _font(content: str, **attributes: str) -> str:
    return _element("FONT", content, attributes)


def _muted(content: str) -> str:
    return _font(content, COLOR=style.MUTED, POINT_SIZE="9")


def _words(content: str) -> str:
    return _font(content, COLOR=style.MUTED, FACE=style.FONT, POINT_SIZE="9")


def _cell(content: str, **attributes: str) -> str:
    return _element("TD", content, attributes)


def _table(rows: Iterable[str], **attributes: str) -> str:
    body = "".join(f"<TR>{row}</TR>" for row in rows)
    return _element("TABLE", body, {"BORDER": "0", "CELLSPACING": "0"} | attributes)


def _row(cells: Iterable[str]) -> str:
    return _table(["".join(cells)], CELLSPACING="6", CELLPADDING="0")
