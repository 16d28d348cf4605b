"""The compiler's own primitives, and in one table what it knows of each primitive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import kernels
from ..engine import linear_algebra as la
from ..engine import primitives as p
from ..engine.constant_functions import ARRAYS, CONSTANTS
from ..engine.kernels import ARRAY_SLOT
from ..engine.primitives import Primitive
from ..engine.random_sample import sample_by

# ── Made while a step is recorded ─────────────────────────────────────────────────────────────────


def _verified(x: Any, check: Callable[..., None], args: Any, options: Any) -> Any:
    check(x, *args, **dict(options))
    return x


def _sampled(*arguments: Any) -> Any:
    *arrays, generator, method, args, options = arguments
    given = iter(arrays)
    filled = [next(given) if x is ARRAY_SLOT else x for x in args]
    named = {name: next(given) if x is ARRAY_SLOT else x for name, x in options}
    return sample_by(getattr(generator, method), tuple(filled), named)


def check_count(mask: Any, n: int) -> None:
    """Raise if a mask does not choose as many elements as at the recording."""
    found = np.count_nonzero(mask)
    if found != n:
        raise ValueError(f"mask with {found} True, recorded for {n}")


# Refuses values that do not fit: labels out of range, say.
verified = Primitive("verified", "✓", _verified, params=("check", "args", "options"))
# Draws from a generator. Its inputs are the arrays among the method's arguments.
sampled = Primitive("sample", "~", _sampled, params=("generator", "method", "args", "options"))
# A NumPy number as one of Python's, as attributes of optimizers and schedules are.
as_python_number = Primitive("item", "·", lambda x: x.item())

# ── Made by passes ────────────────────────────────────────────────────────────────────────────────


def _add_at(x: Any, g: Any, *index: Any) -> Any:
    y = x.copy()
    y[kernels.fill_template(index[:-1], index[-1])] += g
    return y


def _add_at_flat(x: Any, g: Any, places: Any, sign: str) -> Any:
    y = x.copy()
    y.reshape(-1)[places] += g if sign == "+" else -g
    return y


# x with g added at places that are all different; flat ones are counted through the whole array.
add_at = Primitive("add_at", "+[ ]", _add_at, params=("index_template",))
add_at_flat = Primitive("add_at_flat", "+[ ]", _add_at_flat, params=("sign",))
# The elements at flat places.
take = Primitive("take", "[ ]", lambda x, places: x.take(places))
# The same numbers in memory of their own.
copied = Primitive("copied", "=", np.copy)
# A number as an array without axes, of the dtype to which it would be converted anyway.
typed = Primitive("typed", "·", np.array, params=("dtype",))

# ── What is known of each primitive ───────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Facts:
    """What the compiler knows of a primitive, besides what its entry says.

    Attributes
    ----------
    operator
        Python's, between two operands or in front of one.
    ufunc
        NumPy's function that takes the operands and `out=`.
    reduction
        NumPy's function of two operands whose `reduce` it is.
    template
        How it is written otherwise: operands by number, parameters by name.
    exact
        Rounded exactly, element by element: the same for one number as for each of many.
    by_row
        Reduces along an axis; along the last, each row by itself.
    view
        The result can share memory with an operand.
    unsigned
        No element has its sign bit set, nan aside: "always", or "inherited" if none of the
        operands has any.
    effect
        Does more than compute a value, and so stays, and in its order.
    name
        What a result is called that nothing else names.
    """

    operator: str = ""
    ufunc: str = ""
    reduction: str = ""
    template: str = ""
    exact: bool = False
    by_row: bool = False
    view: bool = False
    unsigned: str = ""
    effect: bool = False
    name: str = ""


NOTHING_KNOWN = Facts()


def _call_of_numpy(primitive: Primitive) -> Facts:
    """A call of NumPy's function of a name, with options by name."""
    function = getattr(np, primitive.name)
    n_arrays = function.nin if isinstance(function, np.ufunc) else ARRAYS[primitive.name]
    given = [f"{{{i}.text}}" for i in range(n_arrays)]
    given += [f"{option}={{{option}.text}}" for option in primitive.params]
    return Facts(template=f"np.{primitive.name}({', '.join(given)})")


FACTS: dict[Primitive | None, Facts] = {
    # Arithmetic
    p.add: Facts("+", "add", exact=True, unsigned="inherited", name="total"),
    p.subtract: Facts("-", "subtract", exact=True, name="difference"),
    p.multiply: Facts("*", "multiply", exact=True, unsigned="inherited", name="product"),
    p.divide: Facts("/", "divide", exact=True, unsigned="inherited", name="ratio"),
    p.negative: Facts("-", "negative", exact=True),
    p.power: Facts("**", name="power"),
    p.scalar_power: Facts(template="{0} ** {n}", name="power"),
    p.float_power: Facts(ufunc="float_power", name="power"),
    p.remainder: Facts("%", name="remainder"),
    p.floor_divide: Facts("//", name="quotient"),
    p.matmul: Facts("@", unsigned="inherited", name="product"),
    # Functions
    p.exp: Facts(ufunc="exp", unsigned="always"),
    p.sqrt: Facts(ufunc="sqrt", exact=True, unsigned="inherited", name="root"),
    **{
        primitive: Facts(ufunc=primitive.name)
        for primitive in (
            p.exp2,
            p.expm1,
            p.log,
            p.log2,
            p.log10,
            p.log1p,
            p.cbrt,
            p.sin,
            p.cos,
            p.tan,
            p.arcsin,
            p.arccos,
            p.arctan,
            p.sinh,
            p.cosh,
            p.tanh,
            p.arcsinh,
            p.arccosh,
            p.arctanh,
            p.arctan2,
            p.hypot,
            p.logaddexp2,
        )
    },
    p.sigmoid: Facts(unsigned="always"),
    p.relu: Facts(ufunc="maximum", template="np.maximum({0.text}, 0)"),
    p.abs_: Facts(ufunc="abs", exact=True, unsigned="always"),
    p.sign: Facts(ufunc="sign"),
    p.clip: Facts(template="np.clip({0.text}, {lo.text}, {hi.text})"),
    p.logaddexp: Facts(ufunc="logaddexp"),
    p.maximum: Facts(ufunc="maximum", exact=True),
    p.minimum: Facts(ufunc="minimum", exact=True),
    p.where: Facts(exact=True, name="chosen"),
    p.isfinite: Facts(template="np.isfinite({0.text})"),
    p.isnan: Facts(template="np.isnan({0.text})"),
    # Comparisons
    p.less: Facts("<", exact=True),
    p.less_equal: Facts("<=", exact=True),
    p.greater: Facts(">", exact=True),
    p.greater_equal: Facts(">=", exact=True),
    p.equal: Facts("==", exact=True),
    p.not_equal: Facts("!=", exact=True),
    p.logical_and: Facts("&", "bitwise_and", exact=True),
    p.logical_or: Facts("|", "bitwise_or", exact=True),
    p.logical_not: Facts("~", "invert", exact=True),
    # Reductions
    p.sum_: Facts(reduction="add", by_row=True, unsigned="inherited", name="total"),
    p.mean: Facts(unsigned="inherited"),
    p.prod: Facts(template="np.multiply.reduce({0.text}, {axis.text}, keepdims={keepdims.text})"),
    p.cumprod: Facts(template="np.cumprod({0.text}, {axis.text})"),
    p.max_: Facts(reduction="maximum", by_row=True, name="largest"),
    p.min_: Facts(reduction="minimum", by_row=True, name="smallest"),
    p.max_constant: Facts(
        template="np.maximum.reduce({0.text}, {axis.text}, keepdims=True, initial={initial.text})",
        by_row=True,
        name="maxima",
    ),
    p.argmax: Facts(by_row=True),
    p.argsort: Facts(template='np.argsort({0.text}, {axis.text}, kind="stable")'),
    p.cumsum: Facts(template="np.cumsum({0.text}, {axis.text})"),
    p.einsum: Facts(view=True),
    # Shapes, and elements at places
    p.broadcast_to: Facts(view=True, unsigned="inherited", name="spread"),
    p.reshape: Facts(view=True, unsigned="inherited", name="reshaped"),
    p.transpose: Facts(view=True, unsigned="inherited", name="transposed"),
    p.concatenate: Facts(name="joined"),
    p.astype: Facts(template="{0}.astype({dtype.text})", exact=True),
    p.getitem: Facts(unsigned="inherited", name="picked"),
    p.scatter: Facts(name="spread"),
    # Linear algebra, and what has no derivative
    la.inv_: Facts(template="np.linalg.inv({0.text})", name="inverse"),
    la.solve_: Facts(template="np.linalg.solve({0.text}, {1.text})", name="solution"),
    la.det_: Facts(template="np.linalg.det({0.text})"),
    la.pinv_: Facts(template="np.linalg.pinv({0.text}, {rcond.text}, {hermitian.text})"),
    **{primitive: _call_of_numpy(primitive) for primitive in CONSTANTS.values()},
    # The compiler's own
    add_at: Facts(name="total"),
    add_at_flat: Facts(name="total"),
    take: Facts(template="{0}.take({1.text})", name="picked"),
    copied: Facts(template="np.copy({0.text})"),
    typed: Facts(template="np.array({0.text}, {dtype.text})"),
    as_python_number: Facts(template="{0}.item()"),
    verified: Facts(effect=True),
    sampled: Facts(effect=True),
}
