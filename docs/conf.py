"""Sphinx: the reference site, from the docstrings and the pages of this folder.

    sphinx-build -W docs build/site

Formulas become MathML, which browsers show by themselves, so that the site needs no network.
"""

import re
import sys
from html import escape
from importlib import metadata
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.logging import getLogger

sys.path.insert(0, str(Path(__file__).parents[1]))

logger = getLogger(__name__)

project = "tinygrad_ce"
release = metadata.version("tinygrad-ce")
version = release
copyright = "the tinygrad_ce developers"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["images/*.py"]

# ── Pages ─────────────────────────────────────────────────────────────────────────────────────────

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
# Links to source files, which are no part of the site; that links lead somewhere is tested in
# tests/docs.
suppress_warnings = ["myst.xref_missing"]

# ── Docstrings ────────────────────────────────────────────────────────────────────────────────────

default_role = "code"  # `name` in a docstring is code
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # they are in "Parameters", in words; signatures would be unreadable
autodoc_default_options = {"members": True, "exclude-members": "__init__"}
autodoc_class_signature = "mixed"
python_display_short_literal_types = True
add_module_names = False

# ── Looks ─────────────────────────────────────────────────────────────────────────────────────────

html_theme = "furo"
html_title = "tinygrad_ce"
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"


def mathml(formula, location, **options):
    """Convert a formula, after the few commands that the converter of docutils does not know."""
    for command, known in (
        (r"\\dots", r"\\ldots"),
        (r"\\cr", r"\\\\"),
        (r"\\mathop", ""),
        (r"\\enspace", r"\\;"),
    ):
        formula = re.sub(command + r"(?![a-zA-Z])", known, formula)
    try:
        formula = tex2mathml(formula, **options)
    except MathError as error:
        logger.warning("%s in the formula %s", error, formula, location=location)
        return f"<code>{escape(formula)}</code>"
    # log y has a space, which <mi> does not make.
    functions = r"<mi>(log|exp|max|min|sin|cos|tanh)</mi>"
    return re.sub(functions, r'<mo lspace="0.15em" rspace="0.15em">\1</mo>', formula)


def visit_inline(translator, node):
    """Write a formula within a line."""
    translator.body.append(mathml(node.astext(), node))
    raise nodes.SkipNode


def visit_block(translator, node):
    """Write a formula of its own."""
    formula = mathml(node.astext(), node, as_block=True)
    translator.body.append(f'<div class="math">{formula}</div>')
    raise nodes.SkipNode


SECTIONS = ("Parameters", "Returns", "Raises", "Yields", "Attributes")


def prepare(app, what, name, obj, options, lines):
    """Adapt a docstring: a heading above examples, and |x| and *args that are what they are.

    Here examples follow the last section without a heading, and napoleon would take them for a part
    of it. Bars and stars have other uses in reStructuredText.
    """
    prepared, listing, example = [], False, False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        heading = following.startswith("---") and not line.startswith(" ")
        if heading:
            listing = line in SECTIONS
        elif listing and line.strip() and not line.startswith((" ", "---")) and not prepared[-1]:
            prepared += ["Examples", "--------"]
            listing = False
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        prepared.append(line if example else escape_markup(line))
    lines[:] = prepared


def escape_markup(line):
    """Escape bars, and stars before a name, outside of `code` and **bold**."""
    parts = re.split(r"(`[^`]*`+|\*\*[^*]+\*\*)", line)
    parts[::2] = [re.sub(r"(?<!\\)(\||\*(?=\S))", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def setup(app):
    """Register the renderer of formulas, and what is done to docstrings."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("autodoc-process-docstring", prepare, priority=400)
