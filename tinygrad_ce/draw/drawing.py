"""`draw`, and the `Drawing` that it returns."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..arguments import check_choice, check_flag, check_integer, check_real
from ..atomic_files import check_path, write_file
from ..engine.caller import frame_of_user
from ..engine.graph import topological_order
from ..engine.names import printable
from ..engine.tensor import Tensor
from .boxes import contents_of
from .diagram import Diagram, diagram_of, whole
from .digraph import digraph_of, notes_on
from .formatting import quantity
from .names import names_of
from .render import HOW_TO_GET_A_RENDERER, render
from .svg import fit_width, picture_size, svg_of
from .text_tree import tree_of

if TYPE_CHECKING:
    from graphviz import Digraph

Direction = Literal["LR", "TB", "RL", "BT"]
Theme = Literal["auto", "light", "dark"]
DIRECTIONS, THEMES = get_args(Direction), get_args(Theme)

# Of a notebook, in points. Wider pictures shrink where there is no room for them; those that would
# have to shrink to less than 0.6 of their size are broken into rows.
CELL_WIDTH, SMALLEST_SCALE, ROW_WIDTH = 600.0, 0.6, 800.0
DPI = 144  # sharp on dense screens too
MOST_PIXELS = 12e6  # of the picture for notebooks that are not trusted: some 400 kB


def draw(
    tensor: Tensor | Sequence[Tensor],
    depth: int | None = None,
    direction: Direction = "LR",
    *,
    values: bool = True,
    grads: bool = True,
    theme: Theme = "auto",
) -> Drawing:
    """Draw the graph of a tensor: values, gradients, primitives, scopes.

    Tensors are boxes, with name, shape, dtype unless it is float64, and value and gradient: the
    numbers of a small array, of a larger one the smallest and largest, and in an SVG a heat map.
    A tensor without a name has that of a variable of the code that draws it, if it is in one.
    Gradients are those of the drawn tensor, if it has one element; they are computed here, without
    touching any `.grad` or freeing the graph. Primitives are ovals, scopes are frames.

    Parameters
    ----------
    tensor
        The output; everything that it was computed from is drawn. Or several, in a list: then
        gradients are those of their sum, to which backward() of each would add up.
    depth
        How many levels of scopes to show: scopes at this level become a single box each. With None,
        all are open, unless the graph has more than 500 tensors: then as many levels as can be.
    direction
        "LR", from left to right, or "TB", "RL", "BT" (T is the top, B the bottom). A notebook shows
        a graph from left to right in several rows, if it is much wider than a cell.
    values, grads
        Whether to show them.
    theme
        "light" or "dark"; with "auto", an SVG is what its reader prefers, and the rest is light.

    Returns
    -------
    Drawing
        Shows itself in a notebook; has `svg`, `text`, `page`, `dot` and `save`.

    Raises
    ------
    TypeError, ValueError
        `tensor` is neither a Tensor nor some, `depth` not an integer from 1 on, direction or theme
        unknown, or the graph too large to be legible.
    FreedGraphError
        backward() has freed the graph, which it does where that takes more than 2 MB.

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
    frame, outputs = frame_of_user(), _validate_outputs(tensor)
    check_choice("direction", direction, DIRECTIONS)
    check_choice("theme", theme, THEMES)
    check_flag("values", values)
    depth = None if depth is None else check_integer("depth", depth, 1)
    outputs = whole(outputs)
    names = names_of(topological_order(*outputs), frame)
    diagram = diagram_of(outputs, depth, names, gradients=check_flag("grads", grads))
    return Drawing(diagram, depth, direction, values, grads, theme)


def _validate_outputs(tensor: Any) -> list[Tensor]:
    expected = "draw() takes the Tensor to draw, or a list of them, got"
    outputs = list(tensor) if isinstance(tensor, list | tuple) else [tensor]
    for output in outputs:
        if not isinstance(output, Tensor):
            raise TypeError(f"{expected} {type(output).__name__}")
    if not outputs:
        raise ValueError(f"{expected} an empty list")
    return list(dict.fromkeys(outputs))


def _title(diagram: Diagram) -> str:
    names = diagram.names
    named = (printable(names[t.index]) if t.index in names else t.label() for t in diagram.outputs)
    counts = [quantity(diagram.size, "tensor"), quantity(len(diagram.ops), "primitive")]
    if folded := sum(frame.folded for frame in diagram.frames):
        counts[0] = f"{len(diagram.boxes):,} of {counts[0]}"
        counts.append(quantity(folded, "folded scope"))
    return f"computation graph of {', '.join(named)}: {', '.join(counts)}"


class Drawing:
    """A drawn graph: as text in DOT, and as a picture where there is Graphviz.

    Attributes
    ----------
    graph
        The `graphviz.Digraph`, to change or to combine with others; `dot`, and what is saved as
        .dot, .png or .pdf, follow.
    """

    def __init__(
        self, diagram: Diagram, depth: int | None, direction: str, values: bool, grads: bool,
        theme: str,
    ) -> None:  # fmt: skip
        self._diagram, self._title = diagram, _title(diagram)
        self._contents = contents_of(diagram, values)
        self._depth, self._direction, self._theme = depth, direction, theme
        self._values, self._grads = values, grads
        looks = {"dark": theme == "dark", "values": values, "grads": grads}
        self.graph: Digraph = digraph_of(diagram, self._contents, self._direction, **looks)

    @property
    def dot(self) -> str:
        """The graph as text in DOT, the language of Graphviz; the same from run to run."""
        return str(self.graph.source)

    def svg(self, width: float | None = None) -> str:
        """Return the picture as an SVG element, for an HTML page or a file of its own.

        Parameters
        ----------
        width
            In points: a graph from left to right that is wider goes on in another row, like text.
            With None, it is one row.

        Raises
        ------
        TypeError, ValueError
            A width that is no number from 0 on.
        ImportError, RenderError
            Neither Graphviz nor pygraphviz is installed; or it failed.
        """
        return self._svg(self._direction, None if width is None else check_real("width", width, 0))

    def _svg(self, direction: str, width: float | None = None) -> str:
        notes = notes_on(self._diagram, self._values, self._grads, heat_maps=True)
        layout = self._diagram, self._contents, direction
        return svg_of(*layout, self._title, self._theme, notes, width)

    def text(self) -> str:
        """Return the graph as a tree of text, for terminals; it needs no renderer.

        >>> a = Tensor(3.0, requires_grad=True, name="a")
        >>> print(draw((a * a).exp()).text())
        t2 = exp(t1)  8103  grad 1
        t1 = multiply(a, a)  9  grad 8103
        a (parameter)  3  grad 4.862e+04
        """
        return tree_of(self._diagram, self._values)

    def html(self) -> str:
        """Return the page that steps through the values and through backprop: HTML for offline use.

        Raises
        ------
        ValueError, FreedGraphError
            More than 3,000 tensors; or backward() has freed the graph since it was drawn.
        ImportError, RenderError
            See `svg`.
        """
        from .interactive.page import page_of

        outputs, names = self._diagram.outputs, self._diagram.names
        return page_of(outputs, self._depth, self._direction, self._title, self.dot, names)

    def page(self, height: int = 760) -> Page:
        """Return the page of `html` in a frame, for a notebook; its height is in pixels."""
        return Page(self.html(), check_integer("height", height, 1), self._title)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the drawing in the format of the file's name: .dot, .svg, .png, .pdf or .html.

        A file is written as a whole or not at all; its path is returned. DOT needs no renderer.

        Raises
        ------
        ValueError
            The name ends in none of these.
        ImportError, RenderError
            See `svg`.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     draw(Tensor(1.0, name="x")).save(f"{folder}/x.dot").name
        'x.dot'
        """
        path = check_path(path)
        makers: dict[str, Callable[[], str | bytes]] = {
            ".dot": lambda: self.dot,
            ".svg": self.svg,
            ".png": lambda: self._png(DPI),
            ".pdf": lambda: render(self.dot, "pdf"),
            ".html": self.html,
        }
        if (make := makers.get(path.suffix.lower())) is None:
            ends = ", ".join(makers)
            raise ValueError(f"the name of a drawing's file ends in {ends}, got {path.name!r}")
        made = make()
        write_file(path, made.encode() if isinstance(made, str) else made)
        return path

    def _png(self, dpi: float, **attributes: str) -> bytes:
        graph = self.graph.copy()
        graph.attr(dpi=f"{dpi:.0f}", **attributes)
        return render(graph.source, "png")

    def __repr__(self) -> str:
        return f"<Drawing: {self._title}>"

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        # It never raises, since a notebook would hide that.
        try:
            svg = self.svg()
            width, height = picture_size(svg)
            in_rows = self._direction == "LR" and width * SMALLEST_SCALE > CELL_WIDTH
            if in_rows:
                svg = self.svg(ROW_WIDTH)
        except ImportError:
            return self._without_picture(HOW_TO_GET_A_RENDERER)
        except Exception as error:
            return self._without_picture(f"no picture: {error}")
        shown = fit_width(svg) if picture_size(svg)[0] > CELL_WIDTH else svg
        data, metadata = {"image/svg+xml": shown, "text/plain": repr(self)}, {}
        # A notebook that is not trusted shows no SVG, since that can hold scripts.
        with suppress(Exception):
            dpi = min(DPI, 72 * (MOST_PIXELS / (width * height)) ** 0.5)
            png = self._png(dpi, rankdir="TB" if in_rows else self._direction)  # which has no rows
            data["image/png"] = b64encode(png).decode()
            metadata["image/png"] = {"width": round(int.from_bytes(png[16:20]) * 96 / dpi)}
        return data, metadata

    def _without_picture(self, reason: str) -> tuple[dict[str, str], dict[str, Any]]:
        return {"text/plain": f"{self.text()}\n\n{' '.join(reason.split())}"}, {}


class Page:
    """A page in a frame, as a notebook shows it; `html` is the page itself."""

    def __init__(self, html: str, height: int, title: str) -> None:
        self.html, self.height, self._title = html, height, title

    def _repr_html_(self) -> str:
        # A frame of its own origin: what is in it cannot reach the notebook. A notebook that is not
        # trusted takes the frame away, and leaves the words in it.
        return (
            f'<iframe srcdoc="{escape(self.html)}" title="{escape(self._title)}" '
            'sandbox="allow-scripts allow-downloads allow-modals" '
            f'style="width:100%;height:{self.height}px;border:0">'
            f"{escape(self._title)}: trust the notebook, or run the cell, to see the page</iframe>"
        )

    def __repr__(self) -> str:
        return f"<Page: {self._title}>"
