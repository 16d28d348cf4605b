"""The demo's page: one HTML file with everything in it, which opens from disk and prints.

* page.py fills page.html with the results, part by part;
* charts.py draws curves and decision regions with matplotlib;
* page.html and page.css are the page's skeleton and its looks, light and dark, in the colors of
  draw's palette.css.
"""

from .charts import require_matplotlib
from .page import render_page

__all__ = ["render_page", "require_matplotlib"]
