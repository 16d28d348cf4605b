"""Line charts of a training as SVG, which need no library that draws."""

from __future__ import annotations

import math
from collections.abc import Iterator

WIDTH, HEIGHT = 400, 240  # of a chart
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 40, 36  # around its lines
TICKS = 5  # on an axis, about

# Light and dark; the test set is blue and solid, the training set gray and dashed.
_COLORS = {
    "ground": ("#ffffff", "#1e2227"),
    "ink": ("#1a1a1a", "#eceef1"),
    "muted": ("#565c65", "#a9b1bc"),
    "rule": ("#dfe2e7", "#3b424b"),
    "test": ("#0072b2", "#56b4e9"),
}
_RULES = """
.history {{ font: 11px system-ui, sans-serif; fill: {muted} }}
.history .ground {{ fill: {ground} }}
.history .title {{ fill: {ink}; font-size: 12px; font-weight: 600 }}
.history path {{ fill: none; stroke: {rule} }}
.history .line {{ stroke: {muted}; stroke-width: 1.8; stroke-dasharray: 5 3 }}
.history .test {{ stroke: {test}; stroke-dasharray: none }}
.history .point {{ stroke-width: 6; stroke-linecap: round }}
.history .end {{ text-anchor: end }}
.history .middle {{ text-anchor: middle }}
"""


def charts_of(columns: dict[str, list[float]]) -> str:
    """Draw the losses, and beside them the accuracies if there are any, as an SVG element."""
    charts = {
        title: {name: line for name, line in columns.items() if name.endswith(title)}
        for title in ("loss", "accuracy")
    }
    shown = [_chart(title, lines) for title, lines in charts.items() if lines]
    width = WIDTH * max(len(shown), 1)
    placed = (f'<g transform="translate({WIDTH * i} 0)">{c}</g>' for i, c in enumerate(shown))
    light, dark = (
        _RULES.format(**{name: pair[i] for name, pair in _COLORS.items()}) for i in (0, 1)
    )
    return (
        f'<svg class="history" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" '
        f'width="{width}" height="{HEIGHT}" style="max-width:100%;height:auto" role="img">'
        f"<title>{' and '.join(title for title, lines in charts.items() if lines)} by epoch</title>"
        f"<style>{light}@media screen and (prefers-color-scheme: dark) {{{dark}}}</style>"
        f'<rect class="ground" width="100%" height="100%"/>{"".join(placed)}</svg>'
    )


def _chart(title: str, lines: dict[str, list[float]]) -> str:
    """A chart with the ticks of its axes, and a line for the training set and the test set."""
    values = [v for line in lines.values() for v in line if math.isfinite(v)] or [0.0]
    low, high = (0.0, max(values)) if title == "loss" else (min(values), 1.0)
    if high == low:
        low, high = (0.0, 1.0) if low in (0, 1) else (low, low + 1)
    step = _round_step((high - low) / TICKS)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    epochs = max(map(len, lines.values()))

    def x(epoch: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((epoch - 1) / (epochs - 1) if epochs > 1 else 0.5)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    parts = [f'<text class="title" x="{LEFT}" y="20">{title}</text>']
    for i in range(round((high - low) / step) + 1):
        at = y(low + i * step)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(f"{low + i * step:.6g}", LEFT - 6, at + 4, "end"))
    parts += (_text(str(epoch), x(epoch), HEIGHT - 20, "middle") for epoch in _epochs(epochs))
    parts.append(_text("epoch", WIDTH - RIGHT, HEIGHT - 5, "end"))
    for at, (name, line) in zip((WIDTH - 150, WIDTH - 56), lines.items(), strict=False):
        kind, label = ("line test", "test") if name.startswith("test") else ("line", "training")
        points = [(i, v) for i, v in enumerate(line, 1) if math.isfinite(v)]
        path = "L".join(f"{x(i):.1f} {y(v):.1f}" for i, v in points)
        if len(points) == 1:
            parts.append(f'<path class="{kind} point" d="M{path}h0"/>')
        elif points:
            parts.append(f'<path class="{kind}" d="M{path}"/>')
        parts.append(f'<path class="{kind}" d="M{at - 26} 16h20"/>{_text(label, at, 20)}')
    return "".join(parts)


def _text(words: str, x: float, y: float, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{words}</text>'


def _round_step(rough: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= rough * (1 - 1e-9))


def _epochs(n: int) -> Iterator[int]:
    """The first epoch, and then round numbers."""
    step = max(1, round(_round_step(n / TICKS)))
    yield 1
    yield from (epoch for epoch in range(step, n + 1, step) if epoch > 1 + step / 3)
