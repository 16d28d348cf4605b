"""Draw a graph: its tensors with values and gradients, its primitives, its scopes.

A reader of the graph; the core knows nothing of it. The way of a drawing through this package:

* picture.py decides what is drawn: boxes, ovals, arrows, which scopes are open and which folded;
* dot.py writes that down in DOT, with the looks of style.py and the labels of labels.py: numbers
  and names from text.py, heat maps from heat.py;
* render.py has Graphviz turn DOT into SVG, PNG or PDF; tree.py needs none and writes text;
* drawing.py holds it together: `draw` and the `Drawing` that it returns.

The page that steps through backprop goes another way from the same picture:

* walk.py watches backprop, contribution by contribution; trace.py makes plain data of that, with
  formulas from the table of primitives (formula.py), arrays (arrays.py) and the lines of code that
  made the tensors (lines.py);
* plan.py has Graphviz lay out boxes of a fixed size, and draws them as SVG;
* page.py puts both into page.html, with ../palette.css, page.css and graph.css for its looks, and
  numbers.js, graph.js and page.js, which step. These are files to be edited as such.
"""

from .diagram import MAX_TENSORS
from .drawing import Drawing, draw
from .render import RenderError
from .source_lines import remember_lines

__all__ = ["draw", "Drawing", "remember_lines", "RenderError", "MAX_TENSORS"]
