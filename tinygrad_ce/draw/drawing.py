"""`draw`, and the `Drawing` that it returns."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..tensor import Tensor
from .dot import digraph_of
from .picture import Picture, picture_of
from .render import HOW_TO_GET_A_RENDERER, render, render_svg
from .text import visible

if TYPE_CHECKING:
    from graphviz import Digraph

Direction = Literal["LR", "TB", "RL", "BT"]
DIRECTIONS = ("LR", "TB", "RL", "BT")
FORMATS = ("dot", "svg", "png", "pdf")

PNG_DPI = "144"  # sharp on dense screens too


def draw(tensor: Tensor, depth: int | None = None, direction: Direction = "LR") -> Drawing:
    """Draw the graph behind a tensor: values, gradients, primitives, scopes.

    Tensors are boxes, with name, shape, dtype unless it is float64, and value and gradient: the
    numbers of a small array, the smallest and largest of a larger one. Gradients are those of the
    drawn tensor, if it has one element; they are computed here, without touching any `.grad` or
    freeing the graph. Primitives are ovals, scopes are frames.

    Parameters
    ----------
    tensor
        The output; everything that it was made from is drawn.
    depth
        How many levels of scopes to show: scopes at this level become a single box each. With 1,
        the outermost scopes are boxes; with None, all are open.
    direction
        "LR", from left to right, or "TB", "RL", "BT" (T is the top, B the bottom).

    Raises
    ------
    TypeError
        `tensor` is not a Tensor, or `depth` not an integer.
    ValueError
        The direction is unknown, the depth less than 1, or the graph too large to be legible.
    FreedGraphError
        backward() has freed the graph.

    Examples
    --------
    >>> import tinygrad_ce as tg
    >>> from tinygrad_ce.draw import draw
    >>> a = tg.Tensor(3.0, requires_grad=True, name="a")
    >>> drawing = draw(a * a)
    >>> drawing
    <Drawing: computation graph of the multiply result of shape (): 2 tensors, 1 primitive>
    >>> [line.strip() for line in drawing.dot.splitlines() if "->" in line]
    ['t0 -> p1', 't0 -> p1', 'p1 -> t1 [weight=8]']

    In a notebook, a drawing shows itself; elsewhere, ``drawing.save("graph.svg")``.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"draw() takes the Tensor to draw, got {type(tensor).__name__}")
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is one of {', '.join(DIRECTIONS)}, got {direction!r}")
    picture = picture_of(tensor, _checked_depth(depth))
    return Drawing(digraph_of(picture, direction), _title(picture))


def _checked_depth(depth: Any) -> int | None:
    if depth is None:
        return None
    if isinstance(depth, bool) or not hasattr(depth, "__index__"):
        raise TypeError(f"depth is a number of levels of scopes, or None for all, got {depth!r}")
    if (levels := operator.index(depth)) < 1:
        raise ValueError(
            f"depth is at least 1, where the outermost scopes are one box each, got {levels}"
        )
    return levels


def _title(picture: Picture) -> str:
    name = picture.output.name
    of = visible(str(name)) if name else picture.output.label()
    counts = [_count(picture.size, "tensor"), _count(len(picture.ovals), "primitive")]
    folded = sum(region.folded for region in picture.regions)
    if folded:
        counts[0] = f"{len(picture.boxes):,} of {counts[0]}"
        counts.append(_count(folded, "folded scope"))
    return f"computation graph of {of}: {', '.join(counts)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class Drawing:
    """A drawn graph: as text in DOT, and as a picture where Graphviz is at hand.

    Attributes
    ----------
    graph
        The `graphviz.Digraph`, to change or to combine with others.
    """

    __slots__ = ("_title", "graph")

    def __init__(self, graph: Digraph, title: str) -> None:
        self.graph = graph
        self._title = title

    @property
    def dot(self) -> str:
        """The graph as text in DOT, the language of Graphviz; the same from run to run."""
        source: str = self.graph.source
        return source

    def svg(self) -> str:
        """The picture as an SVG element.

        Raises
        ------
        ImportError
            Neither Graphviz nor pygraphviz is installed; the message says how to get one.
        RenderError
            Graphviz failed.
        """
        return render_svg(self.dot, self._title)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the drawing in the format of the file's name: .dot, .svg, .png or .pdf.

        A file is written as a whole or not at all. DOT needs no renderer.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            The name ends in none of these.
        ImportError, RenderError
            See `svg`.

        >>> import tempfile, tinygrad_ce as tg
        >>> from tinygrad_ce.draw import draw
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     draw(tg.Tensor(1.0, name="x")).save(f"{folder}/x.dot").name
        'x.dot'
        """
        path = Path(path)
        format = path.suffix.lower().removeprefix(".")
        if format not in FORMATS:
            raise ValueError(
                f"the name of a drawing's file ends in .{', .'.join(FORMATS)}, got {path.name!r}"
            )
        _write(path, self._bytes(format))
        return path

    def _bytes(self, format: str) -> bytes:
        if format == "dot":
            return self.dot.encode()
        if format == "svg":
            return self.svg().encode()
        if format == "pdf":
            return render(self.dot, "pdf")
        graph = self.graph.copy()
        graph.attr(dpi=PNG_DPI)
        return render(graph.source, format)

    def __repr__(self) -> str:
        return f"<Drawing: {self._title}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows. It must not raise: a cell's last line is no place to fail."""
        try:
            return {"image/svg+xml": self.svg(), "text/plain": repr(self)}
        except ImportError:
            reason = HOW_TO_GET_A_RENDERER
        except Exception as error:
            reason = f"no picture: {error}"
        return {"text/plain": f"{self.dot}\n{' '.join(reason.split())}"}


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
