"""What ``tinygrad-ce compare`` prints: the evidence side by side, for people and for machines."""

from __future__ import annotations

import json
import math
import shutil
import textwrap
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from .. import closed_form
from ..engine.array_types import Array
from ..verify.chain_rule import GradientCheck
from ..verify.comparison import TOLERANCE_EPS, Comparison, table
from ..verify.finite_differences import STEP
from ..verify.four_ways import DerivativeCheck
from .logits_input import Problem

MAX_SHOWN = 12  # more logits than that are not printed one by one
WIDTHS = (80, 120)  # of a terminal, as far as it is made use of

WAYS = ("autograd", "closed form", "differences", "50 digits")
NAMES = {
    "∂L/∂p": "∂L/∂p[{i}]",
    "∂p/∂z": "∂p[{t}]/∂z[{i}]",
    "∂L/∂z": "∂L/∂z[{i}]",
    "∂²L/∂z²": "∂²L/∂z[{t}]∂z[{i}]",
}


def agree(found: Sequence[DerivativeCheck], links: Sequence[GradientCheck]) -> bool:
    """Whether no row disagrees."""
    return all(e.agrees for e in found) and all(link.comparison.close for link in links)


# ── For people ────────────────────────────────────────────────────────────────────────────────────


def as_text(
    problem: Problem, found: Sequence[DerivativeCheck], links: Sequence[GradientCheck]
) -> str:
    """The values, how far they are from the reference, and the chain from the loss back."""
    width = min(max(shutil.get_terminal_size().columns, WIDTHS[0]), WIDTHS[1])
    n, n_classes = problem.logits.shape
    if n * n_classes <= MAX_SHOWN:
        blocks = [_values(problem, found, row, width) for row in range(n)]
        blocks.append(
            "p = softmax(z), L = −log p_t. 50 digits: the formula in decimal arithmetic.\n"
            f"differences: (f(x + h) − f(x − h)) / 2h, h = {STEP:.0e}, for ∂L/∂p relative to p."
        )
    else:
        blocks = [
            f"{'1 row' if n == 1 else f'{n:,} rows'} of {n_classes:,} logits. Values are printed "
            f"of up to {MAX_SHOWN} logits; --json has all."
        ]
    blocks.append(
        "How far from the 50 digits, at most: as it is, and relative to the element (rel)\n"
        + _errors(found)
    )
    derivatives = [e.comparison for e in found if e.name != "∂L/∂z"]  # which is in the chain, too
    blocks.append(
        "Autograd against the closed form, and along the chain from the loss to z. close:\n"
        f"within {TOLERANCE_EPS:.0f} roundings of the largest term; "
        "ulp: floating point numbers apart\n"
        + table([*derivatives, *(link.comparison for link in links)])
    )
    return "\n\n".join(blocks)


def _values(problem: Problem, found: Sequence[DerivativeCheck], n: int, width: int) -> str:
    """A row of logits, and of each derivative a line per element; of matrices, the label's row."""
    z, t = problem.logits[n], int(problem.target[n])
    loss = float(closed_form.cross_entropy(z, t))
    row = f"row {n + 1}: " if len(problem.target) > 1 else ""
    name_width = 2 + len(NAMES["∂²L/∂z²"].format(t=t, i=len(z) - 1))
    column = (width - name_width) // len(WAYS)
    digits = min(column - 8, 17)  # beside sign, point, exponent and a space; float64 has up to 17
    lines = [
        f"{row}label t = {t}, loss L = {loss:.6g}",
        *_vector("z", z, width),
        *_vector("p", closed_form.softmax(z), width),
        "",
        " " * name_width + "".join(way.rjust(column) for way in WAYS),
    ]
    for e in found:
        lines.append(e.formula)
        at = (n, t) if e.autograd.ndim == 3 else (n,)
        ways = (e.autograd[at], e.closed_form[at], e.differences[at], e.reference[at])
        for i, numbers in enumerate(zip(*ways, strict=True)):
            name = "  " + NAMES[e.name].format(t=t, i=i)
            cells = "".join(_number(x, digits).rjust(column) for x in numbers)
            lines.append(name.ljust(name_width) + cells)
    return "\n".join(lines)


def _vector(name: str, x: Array, width: int) -> list[str]:
    return textwrap.wrap(
        f"{name} = ({', '.join(f'{number:.6g}' for number in x)})", width, subsequent_indent=" " * 5
    )


def _number(x: Any, digits: int) -> str:
    """With so many digits, in the notation that is easier to read.

    >>> _number(0.25, 8), _number(-1e-20, 8), _number(float("nan"), 8), _number(-0.0, 8)
    ('0.25000000', '-1.0000000e-20', '–', '0')
    """
    if x != x:
        return "–"
    if x == 0 or math.isinf(x):
        return "0" if x == 0 else f"{float(x):g}"
    if 1e-3 <= abs(x) < 1e3:
        return f"{x:.{digits}f}"
    mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent):+03d}"


def _errors(found: Sequence[DerivativeCheck]) -> str:
    rows = [["", *(title for way in WAYS[:3] for title in (way, "rel")), "agree"]]
    for e in found:
        cells = [e.name]
        for error, values in zip(e.errors, (e.autograd, e.closed_form, e.differences), strict=True):
            none = values is e.differences and bool(np.isnan(values).all())
            cells += ["–", "–"] if none else [f"{error.max_abs:.2g}", f"{error.max_rel:.2g}"]
        rows.append([*cells, "yes" if e.agrees else "no"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


# ── For machines ──────────────────────────────────────────────────────────────────────────────────

SCHEMA = """
--json prints one object. "logits" (N rows of C), "target", "loss" and "probabilities" are the
input and what is made of it; "agree" is whether every row agrees. "derivatives" is a list of
objects with "name", "formula", "agree", the arrays "autograd", "closed_form",
"central_differences" and "reference" (N rows of C, or of C by C), "comparison", of autograd with
the closed form, and "errors", the comparisons of the first three arrays with the reference.
"chain" is a list of comparisons that have a "formula" as well. A comparison has "name", "shape",
"exact", "close", "max_abs", "max_rel", "max_ulp", "note" (why the two could not be compared, or
""), and "worst": null, or an object with "index" and the two values, "found" and "expected". The
reference is in strings of up to 50 digits, and so are the numbers that JSON does not have: "inf",
"-inf" and "nan".
"""


def as_json(
    problem: Problem, found: Sequence[DerivativeCheck], links: Sequence[GradientCheck]
) -> str:
    """One object on one line; `SCHEMA` says what is in it."""
    z, t = problem.logits, problem.target
    result = {
        "logits": _json(z),
        "target": _json(t),
        "loss": _json(closed_form.cross_entropy(z, t, "none")),
        "probabilities": _json(closed_form.softmax(z)),
        "agree": agree(found, links),
        "derivatives": [_derivative(e) for e in found],
        "chain": [{"formula": link.formula, **_comparison(link.comparison)} for link in links],
    }
    return json.dumps(result, allow_nan=False)


def _derivative(e: DerivativeCheck) -> dict[str, Any]:
    ways = ("autograd", "closed_form", "central_differences")
    return {
        "name": e.name,
        "formula": e.formula,
        "agree": e.agrees,
        **dict(zip(ways, map(_json, (e.autograd, e.closed_form, e.differences)), strict=True)),
        "reference": _json(e.reference),
        "comparison": _comparison(e.comparison),
        "errors": dict(zip(ways, map(_comparison, e.errors), strict=True)),
    }


def _comparison(c: Comparison) -> dict[str, Any]:
    return {
        "name": c.name,
        "shape": list(c.shape),
        "exact": c.exact,
        "close": c.close,
        **{key: _json(getattr(c, key)) for key in ("max_abs", "max_rel", "max_ulp")},
        "note": c.note,
        "worst": c.worst
        and {
            "index": list(c.worst.index),
            "found": _json(c.worst.actual),
            "expected": _json(c.worst.expected),
        },
    }


def _json(x: Any) -> Any:
    """Numbers and nested lists of them, with strings for what JSON does not have."""
    if isinstance(x, np.ndarray | np.generic):
        x = x.tolist()
    if isinstance(x, list):
        return [_json(element) for element in x]
    if isinstance(x, Decimal):
        return str(x if x and x.is_finite() else float(x))
    return x if not isinstance(x, float) or math.isfinite(x) else str(x)
