"""The colors of a graph, light and dark.

The hues are those of Okabe and Ito, distinct with any color vision, with a contrast of 3:1 of lines
and 4.5:1 of text. No information is in a color alone: the kinds of tensors differ by their line as
well (thick, thin, dashed, rounded, double), and gradients have a row of their own.
"""

_COLORS = {
    "ground": ("#ffffff", "#1e2227"),
    "ink": ("#1a1a1a", "#eceef1"),
    "muted": ("#565c65", "#a9b1bc"),
    "line": ("#767c85", "#8b949f"),
    "edge": ("#767c85", "#8b949f"),
    "scope-0": ("#f3f4f7", "#262b31"),  # in turns, so that nested scopes are distinct
    "scope-1": ("#e9ebf0", "#2f353d"),
    "scope-line": ("#aeb4be", "#59626d"),
    "primitive": ("#e4e6ea", "#3b424b"),
    "parameter": ("#e3f0fa", "#17354a"),
    "parameter-line": ("#0072b2", "#56b4e9"),
    "input": ("#dff3ec", "#123a30"),
    "input-line": ("#00785a", "#2fc596"),
    "output": ("#fdeede", "#4a2c14"),
    "output-line": ("#c24e00", "#f28c4b"),
    "grad": ("#a63a00", "#ffab76"),
    # Of a step on the page:
    "active": ("#d04a00", "#ff9a5c"),
    "from": ("#0066a6", "#62b5ee"),
    "pending": ("#7f858e", "#7d8690"),
}

LIGHT, DARK = ({name: pair[i] for name, pair in _COLORS.items()} for i in (0, 1))
