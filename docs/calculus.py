"""Write the tables of formulas in calculus.md from the table of primitives.

    python docs/calculus.py

Each group of primitives.py has a section in the page, with its table between two marks. The script
renews what is between the marks; all else in the page is written by hand. The formulas are those
that values and rules write themselves (tinygrad_ce/draw/formulas).
tests/docs/test_calculus_page.py fails where page and primitives disagree.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from tinygrad_ce.draw.formulas import latex, letters, rule_formula, value_formula
from tinygrad_ce.engine import primitives
from tinygrad_ce.engine.primitives import Primitive

PAGE = Path(__file__).with_suffix(".md")

TABLE = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)
# In primitives.py: a heading, or the first line of an entry.
SOURCE = re.compile(
    r"^# ── (.+?) ─+$|^(\w+)(?:: Primitive)? *= (?:Primitive|elementwise)\(", re.MULTILINE
)


def groups() -> dict[str, list[Primitive]]:
    """The primitives under the headings of primitives.py, in the order of the source."""
    found: dict[str, list[Primitive]] = {}
    group = ""
    for heading, name in SOURCE.findall(inspect.getsource(primitives)):
        group = heading or group
        if name:
            found.setdefault(group, []).append(getattr(primitives, name))
    return found


def in_markdown(formula: str) -> str:
    r"""LaTeX in Markdown, which would take the backslash from ``\,``.

    GitHub refuses ``\operatorname``, and a bar would end the cell of a table.
    """
    formula = re.sub(r"\\operatorname\{(\w+)\}", r"\\mathop{\\mathrm{\1}}", formula)
    for short, long in ((r"\,", r" \thinspace "), (r"\;", r" \enspace "), ("|", r" \vert ")):
        formula = formula.replace(short, long)
    return f"${formula}$"


def derivatives(entry: Primitive) -> str:
    """The derivative with respect to each input; of one with any number, the first."""
    inputs = letters(entry).inputs[: 1 if entry.variadic else None]
    rules = {letter: rule_formula(entry, i) for i, letter in enumerate(inputs)}
    return "<br> ".join(
        in_markdown(rf"\partial L/\partial {letter}={latex(tree)}")
        for letter, tree in rules.items()
        if tree is not None
    )


def table(entries: list[Primitive]) -> str:
    """The primitives of a group, a row each; a column that would be empty is left out."""
    rows = [["primitive", "drawn as", "written", "value $y$", "derivative"], ["---"] * 5]
    for entry in entries:
        written = ", ".join(f"`{code}`" for code in WRITTEN[entry.name]) or "by other functions"
        value = in_markdown(latex(value_formula(entry)))
        name, symbol = f"**{entry.name}**", f"`{entry.symbol}`"
        rows.append([name, symbol, written, value, derivatives(entry)])
        rows[-1] = [*(cell.replace("|", r"\|") for cell in rows[-1])]
    width = 5 if any(row[-1] for row in rows[2:]) else 4
    return "".join(f"| {' | '.join(row[:width])} |\n" for row in rows)


def written(page: str) -> str:
    """The page with its tables renewed."""
    entries = groups()
    return TABLE.sub(lambda m: m[1] + table(entries[m[2]]) + m[3], page)


# x, a and b are Tensors; of a and b, one may be an array or a number. c and d are boolean.
WRITTEN: dict[str, list[str]] = {
    "add": ["a + b", "np.add(a, b)"],
    "subtract": ["a - b", "np.subtract(a, b)"],
    "multiply": ["a * b", "np.multiply(a, b)"],
    "divide": ["a / b", "np.divide(a, b)"],
    "negative": ["-x", "np.negative(x)"],
    "scalar_power": ["x ** n"],
    "power": ["a ** b", "2 ** b", "np.power(a, b)"],
    "remainder": ["a % b", "np.remainder(a, b)", "np.mod(a, b)"],
    "float_power": ["np.float_power(a, b)"],
    "matmul": ["a @ b", "np.matmul(a, b)", "tg.matmul(a, b)"],
    "exp": ["x.exp()", "np.exp(x)"],
    "exp2": ["np.exp2(x)"],
    "expm1": ["x.expm1()", "np.expm1(x)"],
    "log": ["x.log()", "np.log(x)"],
    "log2": ["np.log2(x)"],
    "log10": ["np.log10(x)"],
    "log1p": ["x.log1p()", "np.log1p(x)"],
    "sqrt": ["x.sqrt()", "np.sqrt(x)"],
    "cbrt": ["np.cbrt(x)"],
    "sin": ["x.sin()", "np.sin(x)"],
    "cos": ["x.cos()", "np.cos(x)"],
    "tan": ["np.tan(x)"],
    "arcsin": ["np.arcsin(x)"],
    "arccos": ["np.arccos(x)"],
    "arctan": ["np.arctan(x)"],
    "sinh": ["np.sinh(x)"],
    "cosh": ["np.cosh(x)"],
    "tanh": ["x.tanh()", "np.tanh(x)"],
    "arcsinh": ["np.arcsinh(x)"],
    "arccosh": ["np.arccosh(1 + x)"],
    "arctanh": ["np.arctanh(x)"],
    "sigmoid": ["x.sigmoid()"],
    "relu": ["x.relu()"],
    "abs": ["abs(x)", "x.abs()", "np.absolute(x)", "np.abs(x)", "np.fabs(x)"],
    "erf": ["x.erf()"],
    "root": ["x.std()", "np.std(x)", "tg.norm(x)"],
    "clip": ["x.clip(lo, hi)", "np.clip(x, lo, hi)"],
    "logaddexp": ["np.logaddexp(a, b)", "tg.logaddexp(a, b)"],
    "logaddexp2": ["np.logaddexp2(a, b)"],
    "hypot": ["np.hypot(a, b)"],
    "arctan2": ["np.arctan2(a, b)"],
    "where": ["np.where(c, a, b)", "tg.where(c, a, b)"],
    "maximum": ["np.maximum(a, b)", "tg.maximum(a, b)"],
    "minimum": ["np.minimum(a, b)", "tg.minimum(a, b)"],
    "sum": ["x.sum(axis, keepdims)", "np.sum(x, axis)", "np.add.reduce(x)"],
    "mean": ["x.mean(axis, keepdims)", "np.mean(x, axis)"],
    "max": [
        "x.max(axis, keepdims)", "np.max(x, axis)", "np.amax(x, axis)", "np.maximum.reduce(x)",
    ],
    "min": [
        "x.min(axis, keepdims)", "np.min(x, axis)", "np.amin(x, axis)", "np.minimum.reduce(x)",
    ],
    "cumsum": ["x.cumsum(axis)", "np.cumsum(x, axis)"],
    "prod": ["x.prod(axis)", "np.prod(x, axis)", "np.multiply.reduce(x)"],
    "cumprod": ["x.cumprod(axis)", "np.cumprod(x, axis)", "np.multiply.accumulate(x)"],
    "einsum": ["np.einsum(subscripts, a, b)", "tg.einsum(subscripts, a, b)"],
    "broadcast_to": ["x.broadcast_to(shape)", "np.broadcast_to(x, shape)"],
    "reshape": [
        "x.reshape(shape)", "np.reshape(x, shape)", "x.flatten()", "np.ravel(x)", "x.squeeze()",
        "np.squeeze(x)", "x.expand_dims(axis)", "np.expand_dims(x, axis)",
    ],
    "transpose": [
        "x.transpose(axes)", "np.transpose(x, axes)", "x.T", "x.mT", "x.swapaxes(0, 1)",
        "np.swapaxes(x, 0, 1)", "np.moveaxis(x, 0, 1)",
    ],
    "astype": ["x.astype(dtype)"],
    "identity": [],
    "concatenate": [
        "np.concatenate([a, b])", "tg.concatenate([a, b])", "np.stack([a, b])", "tg.stack([a, b])",
        "np.vstack([a, b])", "np.hstack([a, b])",
    ],
    "getitem": ["x[i]", "np.take(x, i)"],
    "scatter": [],
    "less": ["a < b", "np.less(a, b)"],
    "less_equal": ["a <= b", "np.less_equal(a, b)"],
    "greater": ["a > b", "np.greater(a, b)"],
    "greater_equal": ["a >= b", "np.greater_equal(a, b)"],
    "equal": ["a == b", "np.equal(a, b)"],
    "not_equal": ["a != b", "np.not_equal(a, b)"],
    "logical_and": ["c & d", "np.logical_and(c, d)", "np.bitwise_and(c, d)"],
    "logical_or": ["c | d", "np.logical_or(c, d)", "np.bitwise_or(c, d)"],
    "logical_not": ["~c", "np.logical_not(c)", "np.invert(c)"],
    "floor_divide": ["a // b", "np.floor_divide(a, b)"],
    "isfinite": ["np.isfinite(x)"],
    "isnan": ["np.isnan(x)"],
    "sign": ["np.sign(x)"],
    "stop_gradient": ["x.detach()"],
    "rounding_error": [],
    "argmax": ["x.argmax(axis, keepdims)", "np.argmax(x, axis)"],
    "argmin": ["x.argmin(axis, keepdims)", "np.argmin(x, axis)"],
    "argsort": ["x.argsort(axis)", "tg.argsort(x, axis)", "np.argsort(x, axis)"],
    "max_constant": [],
}  # fmt: skip

if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
