"""The looks: which line, colour and letter stands for what.

The hues are those of Okabe and Ito, which people with any colour vision tell apart, dark enough for
a contrast of 3:1 of lines and 4.5:1 of text on white. No information is in a colour alone: the
kinds of tensors differ by their line as well (thick, thin, dashed, rounded, double), and gradients
have their own row.
"""

from __future__ import annotations

from dataclasses import dataclass

from .picture import Kind

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
