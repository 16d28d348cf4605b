"""The demo's page: one HTML file with everything in it, which opens from disk and prints.

page.py fills page.html, charts.py draws with matplotlib, page.css adds to draw's palette.css.
"""

from .charts import require_matplotlib
from .page import GRAPH_WIDTH, render_page

__all__ = ["GRAPH_WIDTH", "render_page", "require_matplotlib"]
