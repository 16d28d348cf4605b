"""Draw a graph: its tensors with values and gradients, its primitives, its scopes.

A reader of the graph; the engine knows nothing of it. How a drawing comes about:

* diagram.py decides what is drawn: boxes, primitives, edges; names.py what tensors are called;
  scopes.py which scopes are open and which are folded; boxes.py what is written in a box and where;
* placement.py has Graphviz place it, and wraps it into rows; svg.py draws it there, in the colors
  of colors.py, with the looks of graph.css and heat maps of heatmap.py;
* digraph.py writes it in DOT with labels of plain text and a legend, of which render.py has
  Graphviz make PNG and PDF; text_tree.py needs no Graphviz and writes text;
* drawing.py holds it together: `draw` and the `Drawing` that it returns.

The page that steps through backprop is in interactive/:

* contributions.py observes backprop, contribution by contribution; steps.py makes plain data of
  that, with formulas, arrays (array_pool.py) and the lines of code that made the
  tensors (source_lines.py);
* page.py puts the data and the SVG into assets/page.html, with the style sheets and scripts beside
  it, which are files to be edited as such.

The package can be called: ``tinygrad_ce.draw(loss)`` is ``tinygrad_ce.draw.draw(loss)``.
"""

import sys
from inspect import signature
from types import ModuleType
from typing import Any

from .diagram import MAX_TENSORS
from .drawing import Drawing, draw
from .render import RenderError
from .source_lines import remember_lines

__all__ = ["draw", "Drawing", "remember_lines", "RenderError", "MAX_TENSORS"]


class _CallablePackage(ModuleType):
    """This package: a module that draws when it is called."""

    def __call__(self, *args: Any, **options: Any) -> Drawing:
        return draw(*args, **options)

    def __dir__(self) -> list[str]:
        return __all__


_CallablePackage.__call__.__doc__ = draw.__doc__
__signature__ = signature(draw)
sys.modules[__name__].__class__ = _CallablePackage
