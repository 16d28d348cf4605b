"""`draw`, and the `Drawing` that it returns."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..engine.tensor import Tensor
from .diagram import Picture, picture_of
from .dot.digraph import digraph_of
from .dot.style import darken
from .formatting import visible
from .render import HOW_TO_GET_A_RENDERER, render, render_svg
from .text_tree import tree_of

if TYPE_CHECKING:
    from graphviz import Digraph

Direction = Literal["LR", "TB", "RL", "BT"]
Theme = Literal["auto", "light", "dark"]
THEMES = ("auto", "light", "dark")
DIRECTIONS = ("LR", "TB", "RL", "BT")
FORMATS = ("dot", "svg", "png", "pdf", "html")

PNG_DPI = "144"  # sharp on dense screens too


def draw(
    tensor: Tensor | Sequence[Tensor],
    depth: int | None = None,
    direction: Direction = "LR",
    *,
    values: bool = True,
    grads: bool = True,
    theme: Theme = "auto",
) -> Drawing:
    """Draw the graph behind a tensor: values, gradients, primitives, scopes.

    Tensors are boxes, with name, shape, dtype unless it is float64, and value and gradient: the
    numbers of a small array, a heat map of a larger one with its smallest and largest. Gradients
    are those of the drawn tensor, if it has one element; they are computed here, without touching
    any `.grad` or freeing the graph. Primitives are ovals, scopes are frames.

    Parameters
    ----------
    tensor
        The output; everything that it was made from is drawn. Or several: then gradients are those
        of their sum, which is what backward() of each would add up to.
    depth
        How many levels of scopes to show: scopes at this level become a single box each. With 1,
        the outermost scopes are boxes; with None, all are open, unless the graph has more tensors
        than can be read (500): then as many levels as can be.
    direction
        "LR", from left to right, or "TB", "RL", "BT" (T is the top, B the bottom).
    values, grads
        Whether to show them.
    theme
        "light" or "dark"; with "auto", an SVG is what its reader prefers, and the rest is light.

    Raises
    ------
    TypeError
        `tensor` is neither a Tensor nor some, or `depth` not an integer.
    ValueError
        The direction or the theme is unknown, the depth less than 1, or the graph too large to be
        legible.
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

    In a notebook, a drawing shows itself; elsewhere, ``drawing.save("graph.svg")``. The page that
    steps through backprop is ``drawing.save("backprop.html")``, or in a notebook
    ``drawing.page()``.
    """
    outputs = _checked_outputs(tensor)
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is one of {', '.join(DIRECTIONS)}, got {direction!r}")
    if theme not in THEMES:
        raise ValueError(f"theme is one of {', '.join(THEMES)}, got {theme!r}")
    picture = picture_of(outputs, _checked_depth(depth), gradients=grads)
    graph = digraph_of(picture, direction, values=values, grads=grads)
    if theme == "dark":
        darken(graph)
    return Drawing(graph, picture, _Options(depth, direction, values, theme))


def _checked_outputs(tensor: Any) -> list[Tensor]:
    if isinstance(tensor, Tensor):
        return [tensor]
    outputs = list(tensor) if isinstance(tensor, list | tuple) else [tensor]
    for output in outputs:
        if not isinstance(output, Tensor):
            raise TypeError(
                f"draw() takes the Tensor to draw, or a list of them, got {type(output).__name__}"
            )
    if not outputs:
        raise ValueError("draw() takes the Tensor to draw, or a list of them, got an empty list")
    return list(dict.fromkeys(outputs))


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
    named = (visible(str(t.name)) if t.name else t.label() for t in picture.outputs)
    counts = [_count(picture.size, "tensor"), _count(len(picture.ovals), "primitive")]
    folded = sum(region.folded for region in picture.regions)
    if folded:
        counts[0] = f"{len(picture.boxes):,} of {counts[0]}"
        counts.append(_count(folded, "folded scope"))
    return f"computation graph of {', '.join(named)}: {', '.join(counts)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class _Options:
    """What was asked for."""

    depth: int | None
    direction: str
    values: bool
    theme: str


class Drawing:
    """A drawn graph: as text in DOT, and as a picture where Graphviz is at hand.

    Attributes
    ----------
    graph
        The `graphviz.Digraph`, to change or to combine with others.
    """

    __slots__ = ("_options", "_picture", "_title", "graph")

    def __init__(self, graph: Digraph, picture: Picture, options: _Options) -> None:
        self.graph = graph
        self._picture = picture
        self._options = options
        self._title = _title(picture)

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
        return render_svg(self.dot, self._title, follow=self._options.theme == "auto")

    def text(self) -> str:
        """The graph as a tree of text, for terminals; it needs no renderer.

        >>> import tinygrad_ce as tg
        >>> from tinygrad_ce.draw import draw
        >>> a = tg.Tensor(3.0, requires_grad=True, name="a")
        >>> print(draw((a * a).exp()).text())
        t2 = exp  8103  grad 1
        t1 = multiply  9  grad 8103
        ├─ a (parameter)  3  grad 4.862e+04
        └─ a (parameter)  3  grad 4.862e+04
        """
        return tree_of(self._picture, self._options.values)

    def html(self) -> str:
        """The page that steps through the values and through backprop, as text in HTML.

        It needs nothing but itself: no other file, and no network.

        Raises
        ------
        ValueError
            There are more than 3,000 tensors to step through.
        FreedGraphError
            backward() has freed the graph since it was drawn.
        ImportError, RenderError
            See `svg`.
        """
        from .interactive.page import page_of

        picture, options = self._picture, self._options
        return page_of(picture.outputs, options.depth, options.direction, self._title, self.dot)

    def page(self, height: int = 760) -> Page:
        """The page of `html`, to be shown in a notebook, in a frame of this height in pixels."""
        return Page(self.html(), height, self._title)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the drawing in the format of the file's name: .dot, .svg, .png, .pdf or .html.

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
        if format == "html":
            return self.html().encode()
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


class Page:
    """A page in a frame, as a notebook shows it; `html` is the page itself."""

    __slots__ = ("_title", "height", "html")

    def __init__(self, html: str, height: int, title: str) -> None:
        self.html = html
        self.height = height
        self._title = title

    def _repr_html_(self) -> str:
        # A frame of its own origin: what is in it cannot reach the notebook.
        return (
            f'<iframe srcdoc="{escape(self.html)}" title="{escape(self._title)}" '
            'sandbox="allow-scripts allow-downloads allow-modals" '
            f'style="width:100%;height:{int(self.height)}px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"<Page: {self._title}>"


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
