"""``tinygrad-ce compare``: the evidence side by side, for people and for machines."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import numpy as np

from ... import closed_form
from ...engine.array_types import Array
from ...verify.chain_rule import GradientCheck, check_cross_entropy, check_random_logits
from ...verify.comparison import TOLERANCE_EPS, Comparison, table
from ...verify.finite_differences import STEP
from ...verify.four_ways import DerivativeCheck, check_four_ways
from .. import logits_input
from ..logits_input import Problem
from ..options import UsageError, add_seed, any_path, positive_number, whole_number

MAX_CLASSES = 1_000
MAX_ELEMENTS = 10**6  # second derivatives that are compared
MAX_PROVED = 5  # logits in a proof: what is derived grows with their square
MAX_SHOWN = 12  # more logits than that are not printed one by one
WIDTHS = (80, 120)  # of a terminal, as far as it is made use of

WAYS = ("autograd", "closed form", "differences", "50 digits")
NAMES = {
    "∂L/∂p": "∂L/∂p[{i}]", "∂p/∂z": "∂p[{t}]/∂z[{i}]",
    "∂L/∂z": "∂L/∂z[{i}]", "∂²L/∂z²": "∂²L/∂z[{t}]∂z[{i}]",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    logits_input.add_logits(parser)
    rows = "rows of logits with the label in the last column; a header is skipped"
    parser.add_argument("--csv", type=any_path, metavar="FILE", help=rows)
    add_seed(parser, "of random logits, where none are given")
    number = f"the number of random logits (default: {logits_input.CLASSES})"
    parser.add_argument("--classes", type=whole_number(1, MAX_CLASSES), metavar="C", help=number)
    scale = f"the standard deviation of random logits (default: {logits_input.SCALE:g})"
    parser.add_argument("--scale", type=positive_number, metavar="S", help=scale)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object; see below")
    proof = (
        "print instead why they agree for all logits: what backprop does, step by step, in "
        f"symbols, for up to {MAX_PROVED} logits; needs SymPy"
    )
    form.add_argument("--prove", action="store_true", help=proof)
    form.add_argument("--latex", action="store_true", help="the same in LaTeX")
    parser.epilog = SCHEMA


@np.errstate(over="ignore")  # logits may be as far apart as float64 goes
def run(arguments: argparse.Namespace) -> int:
    """Compare the gradients of cross-entropy, found in four ways, on given or random logits.

    ∂L/∂p, the Jacobian of softmax, ∂L/∂z and the Hessian: by autograd, by the closed form, by
    central differences, and to 50 digits. Exits with status 1 if a row disagrees.
    """
    problem = logits_input.read_problem(arguments)
    if arguments.prove or arguments.latex:
        return _prove(problem, arguments.latex)
    n, n_classes = problem.logits.shape
    if n * n_classes**2 > MAX_ELEMENTS:
        raise UsageError(
            f"{n:,} rows of {n_classes:,} logits have {n * n_classes**2:,} second derivatives: "
            f"up to {MAX_ELEMENTS:,} are compared"
        )
    derivatives = check_four_ways(problem.logits, problem.target)
    chain = check_cross_entropy(problem.logits, problem.target)
    if problem.random:
        chain.append(check_random_logits(seed=arguments.seed))
    show = as_json if arguments.json else as_text
    print(show(problem, derivatives, chain))
    return 0 if all_agree(derivatives, chain) else 1


def _prove(problem: Problem, latex: bool) -> int:
    n_classes = problem.logits.shape[1]
    if n_classes > MAX_PROVED:
        raise UsageError(f"a proof is of up to {MAX_PROVED} logits, got {n_classes}")
    from ... import symbolic

    proofs = [
        symbolic.prove(n_classes, label, of=of)
        for label in sorted(set(problem.target.tolist()))
        for of in ("gradient", "hessian")
    ]
    shown = [f"\\[\n{proof.latex()}\n\\]" if latex else str(proof) for proof in proofs]
    print(("\n\n" if latex else f"\n\n{'─' * 80}\n\n").join(shown))
    return 0 if all(proof.holds for proof in proofs) else 1


def all_agree(derivatives: Sequence[DerivativeCheck], chain: Sequence[GradientCheck]) -> bool:
    return all(d.agrees for d in derivatives) and all(c.comparison.close for c in chain)


def as_text(
    problem: Problem, derivatives: Sequence[DerivativeCheck], chain: Sequence[GradientCheck]
) -> str:
    """The values, how far they are from the reference, and the chain from the loss back."""
    width = min(max(shutil.get_terminal_size().columns, WIDTHS[0]), WIDTHS[1])
    n, n_classes = problem.logits.shape
    if n * n_classes <= MAX_SHOWN:
        values = "\n\n".join(_values(problem, derivatives, row, width) for row in range(n)) + (
            "\n\np = softmax(z), L = −log p_t. 50 digits: the formula in decimal arithmetic.\n"
            f"differences: (f(x + h) − f(x − h)) / 2h, h = {STEP:.0e}, for ∂L/∂p relative to p."
        )
    else:
        rows = "1 row" if n == 1 else f"{n:,} rows"
        values = (
            f"{rows} of {n_classes:,} logits. Values are printed of up to {MAX_SHOWN} logits; "
            "--json has all."
        )
    others = [d.comparison for d in derivatives if d.name != "∂L/∂z"]  # which is in the chain, too
    return f"""\
{values}

How far from the 50 digits, at most: absolute, and relative to the element (rel)
{_errors(derivatives)}

Autograd against the closed form, and along the chain from the loss to z. close:
within {TOLERANCE_EPS:.0f} roundings of the largest term; ulp: floating point numbers apart
{table([*others, *(check.comparison for check in chain)])}"""


def _values(problem: Problem, derivatives: Sequence[DerivativeCheck], n: int, width: int) -> str:
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
    for d in derivatives:
        lines.append(d.formula)
        at = (n, t) if d.autograd.ndim == 3 else (n,)
        ways = (d.autograd[at], d.closed_form[at], d.differences[at], d.reference[at])
        for i, numbers in enumerate(zip(*ways, strict=True)):
            name = "  " + NAMES[d.name].format(t=t, i=i)
            cells = "".join(_number(x, digits).rjust(column) for x in numbers)
            lines.append(name.ljust(name_width) + cells)
    return "\n".join(lines)


def _vector(name: str, x: Array, width: int) -> list[str]:
    numbers = ", ".join(f"{number:.6g}" for number in x)
    return textwrap.wrap(f"{name} = ({numbers})", width, subsequent_indent=" " * 5)


def _number(x: Any, digits: int) -> str:
    """With so many digits, in the notation that is easier to read: 0.25000000, 1.0000000e-20."""
    if x != x:
        return "–"
    if x == 0 or math.isinf(x):
        return "0" if x == 0 else f"{float(x):g}"
    if 1e-3 <= abs(x) < 1e3:
        return f"{x:.{digits}f}"
    mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent):+03d}"


def _errors(derivatives: Sequence[DerivativeCheck]) -> str:
    rows = [["", *(title for way in WAYS[:3] for title in (way, "rel")), "agree"]]
    for d in derivatives:
        cells = [d.name]
        for error, values in zip(d.errors, (d.autograd, d.closed_form, d.differences), strict=True):
            none = values is d.differences and bool(np.isnan(values).all())
            cells += ["–", "–"] if none else [f"{error.max_abs:.2g}", f"{error.max_rel:.2g}"]
        rows.append([*cells, "yes" if d.agrees else "no"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


SCHEMA = """
--json prints one object: "logits" (N rows of C), "target", "loss", "probabilities", "agree"
(whether every row agrees), "derivatives" and "chain". A derivative has "name", "formula", "agree",
the arrays "autograd", "closed_form", "central_differences" and "reference", the "comparison" of the
first two, and "errors", the comparisons of the first three with the reference. The chain is a list
of comparisons, each with its "formula". A comparison has "name", "shape", "exact", "close",
"max_abs", "max_rel", "max_ulp", "note" and "worst": null, or "index", "actual" and "expected". The
reference, to 50 digits, is in strings, and so are the numbers that JSON does not have: "inf",
"-inf" and "nan".
"""


def as_json(
    problem: Problem, derivatives: Sequence[DerivativeCheck], chain: Sequence[GradientCheck]
) -> str:
    z, t = problem.logits, problem.target
    result = {
        "logits": z,
        "target": t,
        "loss": closed_form.cross_entropy(z, t, "none"),
        "probabilities": closed_form.softmax(z),
        "agree": all_agree(derivatives, chain),
        "derivatives": [_derivative(d) for d in derivatives],
        "chain": [{"formula": check.formula, **_comparison(check.comparison)} for check in chain],
    }
    return json.dumps(_json(result), allow_nan=False)


def _derivative(d: DerivativeCheck) -> dict[str, Any]:
    ways = ("autograd", "closed_form", "central_differences")
    return {
        "name": d.name,
        "formula": d.formula,
        "agree": d.agrees,
        **dict(zip(ways, (d.autograd, d.closed_form, d.differences), strict=True)),
        "reference": d.reference,
        "comparison": _comparison(d.comparison),
        "errors": dict(zip(ways, map(_comparison, d.errors), strict=True)),
    }


def _comparison(c: Comparison) -> dict[str, Any]:
    return {key: value for key, value in asdict(c).items() if key != "by_value"}  # all are floats


def _json(x: Any) -> Any:
    """The same in what JSON has: lists in place of arrays, strings for inf, nan and Decimals."""
    if isinstance(x, np.ndarray | np.generic):
        x = x.tolist()
    if isinstance(x, dict):
        return {key: _json(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return list(map(_json, x))
    if isinstance(x, Decimal):
        return str(x if x and x.is_finite() else float(x))
    return x if not isinstance(x, float) or math.isfinite(x) else str(x)
