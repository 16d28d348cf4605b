"""Draw a graph: its tensors with values and gradients, its primitives, its scopes.

A reader of the graph; the core knows nothing of it. The way of a drawing through this package:

* picture.py decides what is drawn: boxes, ovals, arrows, which scopes are open and which folded;
* dot.py writes that down in DOT, with the looks of style.py and the numbers and names of text.py;
* render.py has Graphviz turn DOT into SVG, PNG or PDF;
* drawing.py holds it together: `draw` and the `Drawing` that it returns.
"""

from .drawing import Drawing, draw
from .picture import MAX_TENSORS
from .render import RenderError

__all__ = ["draw", "Drawing", "RenderError", "MAX_TENSORS"]
