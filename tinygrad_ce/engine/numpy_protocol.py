"""NumPy's protocols: which function of ours is called for one of NumPy's, and what is refused.

``np.exp(t)``, ``np.where(c, a, b)`` and ``np.ones(3) + t`` arrive here. What is in neither table
raises a TypeError, so that no gradient is silently lost. numpy_functions.py fills the tables.
"""

from __future__ import annotations

import numpy as np

from .array_types import Arguments, Function, Value
from .hooks import Options

UFUNCS: dict[tuple[np.ufunc, str], Function] = {}  # by ufunc and method, such as "reduce"
FUNCTIONS: dict[Function, Function] = {}


def call_ufunc(ufunc: np.ufunc, method: str, inputs: Arguments, kwargs: Options) -> Value:
    """Return what our function gives for ``ufunc.method(*inputs, **kwargs)``."""
    function = UFUNCS.get((ufunc, method))
    if function is None:
        raise _unsupported(f"np.{ufunc.__name__}" + f".{method}" * (method != "__call__"))
    given = {name: value for name, value in kwargs.items() if value is not None}
    if not given.keys() <= ({"axis", "keepdims"} if method == "reduce" else set()):
        raise TypeError(
            f"np.{ufunc.__name__} on a Tensor does not take {', '.join(given)}: arrays in a "
            "graph never change, so use the result in place of out=, np.where in place of "
            "where=, and astype in place of dtype="
        )
    return function(*inputs, **(kwargs if method == "reduce" else {}))


def call_function(function: Function, args: Arguments, kwargs: Options) -> Value:
    """Return what our function gives for ``function(*args, **kwargs)``."""
    implementation = FUNCTIONS.get(function)
    if implementation is None:
        raise _unsupported(_name(function))
    return implementation(*args, **kwargs)


def _unsupported(name: str) -> TypeError:
    import difflib  # needed in this message alone

    known = [_name(function) for function in FUNCTIONS]
    known += [_name(ufunc) + f".{how}" * (how != "__call__") for ufunc, how in UFUNCS]
    near = difflib.get_close_matches(name, known, n=2, cutoff=0)
    return TypeError(
        f"{name} does not work on Tensors, so that no gradient is silently lost; nearest are "
        f"{' and '.join(near)}, or use t.data where no gradient is needed"
    )


def _name(function: Function | np.ufunc) -> str:
    """As a user would write it: np.linalg.norm."""
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module.replace('numpy', 'np', 1)}.{function.__name__}"
