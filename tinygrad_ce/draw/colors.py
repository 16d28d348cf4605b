"""The colors of a graph, light and dark.

The hues are those of Okabe and Ito, distinct with any color vision, with a contrast of 3:1 of lines
and 4.5:1 of text. No information is in a color alone: the kinds of tensors differ by their line as
well (thick, thin, dashed, rounded, double), and gradients have a row of their own.
"""

LIGHT = {
    "ground": "#ffffff",
    "ink": "#1a1a1a",
    "muted": "#565c65",
    "line": "#767c85",
    "edge": "#767c85",
    "scope-0": "#f3f4f7",  # in turns, so that nested scopes are distinct
    "scope-1": "#e9ebf0",
    "scope-line": "#aeb4be",
    "primitive": "#e4e6ea",
    "parameter": "#e3f0fa",
    "parameter-line": "#0072b2",
    "input": "#dff3ec",
    "input-line": "#00785a",
    "output": "#fdeede",
    "output-line": "#c24e00",
    "grad": "#a63a00",
    # Of a step on the page:
    "active": "#d04a00",
    "from": "#0066a6",
    "pending": "#7f858e",
}

DARK = {
    "ground": "#1e2227",
    "ink": "#eceef1",
    "muted": "#a9b1bc",
    "line": "#8b949f",
    "edge": "#8b949f",
    "scope-0": "#262b31",
    "scope-1": "#2f353d",
    "scope-line": "#59626d",
    "primitive": "#3b424b",
    "parameter": "#17354a",
    "parameter-line": "#56b4e9",
    "input": "#123a30",
    "input-line": "#2fc596",
    "output": "#4a2c14",
    "output-line": "#f28c4b",
    "grad": "#ffab76",
    "active": "#ff9a5c",
    "from": "#62b5ee",
    "pending": "#7d8690",
}
