"""The looks: which line, colour and letter stands for what.

The hues are those of Okabe and Ito, which people with any colour vision tell apart, dark enough for
a contrast of 3:1 of lines and 4.5:1 of text on white. No information is in a colour alone: the
kinds of tensors differ by their line as well (thick, thin, dashed, rounded, double), and gradients
have their own row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..diagram import Kind

if TYPE_CHECKING:
    from graphviz import Digraph

FONT = "Helvetica,Arial,sans-serif"
DIGITS = "DejaVu Sans Mono,Menlo,Consolas,monospace"
TEXT = "#1a1a1a"
MUTED = "#5a5f66"
GRADIENT = "#a63a00"
ARROW = "#6b7078"
SCOPE_FILLS = ("#f6f7f9", "#eceef2")  # by turns, so that nested scopes stand out
SCOPE_LINE = "#b9bec7"


@dataclass(frozen=True, slots=True)
class Look:
    """How one kind of node is drawn, and what the legend calls it."""

    word: str
    fill: str
    line: str
    shape: str = "box"
    style: str = "filled"
    width: float = 1.0
    double: bool = False


LOOKS = {
    Kind.PARAMETER: Look("parameter", "#e3f0fa", "#0072b2", width=2.2),
    Kind.INPUT: Look("input", "#dff3ec", "#00785a"),
    Kind.CONSTANT: Look("constant", "#ffffff", "#6b7078", style="filled,dashed"),
    Kind.INTERMEDIATE: Look("computed", "#ffffff", "#6b7078", style="filled,rounded"),
    Kind.OUTPUT: Look("output", "#fdeede", "#c24e00", double=True),
}
OVAL = Look("primitive", "#e4e6ea", "#5a5f66", shape="oval")
FOLD = Look("scope", "#e4e6ea", "#5a5f66", shape="folder")


# ── Dark ──────────────────────────────────────────────────────────────────────────────────────────

# Every colour above, as it is on a dark ground.
DARK = {
    "white": "#1e2227",
    "#ffffff": "#1e2227",
    TEXT: "#eceef1",
    MUTED: "#a9b1bc",
    GRADIENT: "#ffab76",
    ARROW: "#8b949f",
    SCOPE_FILLS[0]: "#262b31",
    SCOPE_FILLS[1]: "#2f353d",
    SCOPE_LINE: "#59626d",
    "#e3f0fa": "#17354a",
    "#0072b2": "#56b4e9",
    "#dff3ec": "#123a30",
    "#00785a": "#2fc596",
    "#fdeede": "#4a2c14",
    "#c24e00": "#f28c4b",
    "#e4e6ea": "#3b424b",
}
_LIGHT_COLOUR = re.compile("|".join(f'(?<==){c}|(?<="){c}(?=")' for c in DARK))


def darken(graph: Digraph) -> None:
    """Give a graph the colours of the dark theme."""

    def dark(words: str) -> str:
        return _LIGHT_COLOUR.sub(lambda match: DARK[match[0]], words)

    graph.body[:] = [dark(line) for line in graph.body]
    for attributes in (graph.graph_attr, graph.node_attr, graph.edge_attr):
        for name, value in attributes.items():
            attributes[name] = DARK.get(value, dark(value))


def dark_css(selector: str) -> str:
    """The rules that make an SVG of Graphviz dark where its reader prefers that.

    >>> dark_css("svg.x").splitlines()[1]
    '  svg.x [fill="white"] { fill: #1e2227 }'
    """
    rules = [
        f'  {selector} [{what}="{light}"] {{ {what}: {dark} }}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    ]
    return "\n".join(["@media screen and (prefers-color-scheme: dark) {", *rules, "}"])
