"""NumPy's protocols: which function of ours is called for one of NumPy's, and what is refused.

``np.exp(t)``, ``np.where(c, a, b)`` and ``np.ones(3) + t`` arrive here. numpy_functions.py has the
table of NumPy's names, which is loaded when the first of them is called; what it does not have is
refused with its reason, so that no gradient is silently lost.
"""

from __future__ import annotations

import inspect
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from .array_types import Arguments, Function, Value
from .hooks import Options

UFUNCS: dict[tuple[np.ufunc, str], Function] = {}  # by ufunc and method, such as "reduce"
FUNCTIONS: dict[Function, Function] = {}


def call_ufunc(ufunc: np.ufunc, method: str, inputs: Arguments, kwargs: Options) -> Value:
    """Return what our function gives for ``ufunc.method(*inputs, **kwargs)``."""
    function = UFUNCS.get((ufunc, method)) or _load(UFUNCS, (ufunc, method))
    if not kwargs:
        return function(*inputs)
    name = f"np.{ufunc.__name__}" + f".{method}" * (method != "__call__")
    known = frozenset(inspect.signature(function).parameters)
    return function(*inputs, **_fit(name, kwargs, known))


def call_function(function: Function, args: Arguments, kwargs: Options) -> Value:
    """Return what our function gives for ``function(*args, **kwargs)``."""
    ours = FUNCTIONS.get(function) or _load(FUNCTIONS, function)
    if not kwargs and len(args) == 1:
        return ours(*args)
    call = _CALLS.get(function) or _CALLS.setdefault(function, _call(function, ours))
    if len(args) <= call.same and kwargs.keys() <= call.known:
        for value in kwargs.values():
            if value is np._NoValue:
                break
        else:
            return ours(*args, **kwargs)
    if len(args) > call.same:
        named = dict(zip(call.names[call.same :], args[call.same :]))  # noqa: B905  NumPy counted
        args, kwargs = args[: call.same], named | dict(kwargs)
    if kwargs:
        renamed = {call.renamed.get(name, name): value for name, value in kwargs.items()}
        kwargs = renamed if call.any_name else _fit(_name(function), renamed, call.known)
    return ours(*args, **kwargs)


def _load(table: dict[Value, Function], key: Value) -> Function:
    """The function of a table, once the names of NumPy are loaded; refuses what is not there."""
    from . import numpy_functions

    numpy_functions.load()
    function = table.get(key)
    if function is None:
        ufunc, method = key if isinstance(key, tuple) else (key, "__call__")
        raise TypeError(numpy_functions.refusal(_name(ufunc), method))
    return function


class _Call(NamedTuple):
    """How a call of NumPy's function becomes one of ours.

    Attributes
    ----------
    same
        How many arguments mean the same by position.
    names
        NumPy's names of its arguments, in order.
    renamed
        What ours calls an argument that has another name in NumPy.
    known
        What ours takes by name.
    any_name
        Whether ours takes any name.
    """

    same: int
    names: tuple[str, ...]
    renamed: dict[str, str]
    known: frozenset[str]
    any_name: bool


_CALLS: dict[Function, _Call] = {}


def _call(function: Function, ours: Function) -> _Call:
    parameters = inspect.signature(ours).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    mine = [name for name, parameter in parameters.items() if parameter.kind in by_place]
    try:
        theirs = tuple(inspect.signature(function).parameters)
    except ValueError:  # of a function in C, which before NumPy 2.4 does not say what it takes
        theirs = tuple(mine)
    renamed = {
        n: m
        for n, m in zip(theirs, mine)  # noqa: B905  as far as both go
        if n not in parameters and m not in theirs
    }
    pairs = zip(theirs, mine)  # noqa: B905
    same = sum(1 for _ in takewhile(lambda pair: renamed.get(pair[0], pair[0]) == pair[1], pairs))
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        same = 1000
    known = frozenset(parameters)
    return _Call(same, theirs, renamed, known, inspect.Parameter.VAR_KEYWORD in kinds)


_INSTEAD = {
    "out": "arrays in a graph never change, so use the result",
    "where": "choose with np.where",
    "dtype": "convert with astype",
    "casting": "convert with astype",
    "initial": "combine the result with it",
}


def _unsupported(name: str, keyword: str) -> str:
    instead = _INSTEAD.get(keyword, "leave it out, or use t.data where no gradient is needed")
    return f"{name} on a Tensor does not take {keyword}=: {instead}"


def _fit(name: str, kwargs: Options, known: frozenset[str]) -> dict[str, Value]:
    """The keywords that we know. Others may be at NumPy's default; else they are refused."""
    fitting = {}
    for keyword, value in kwargs.items():
        if keyword in known:
            if value is not np._NoValue:
                fitting[keyword] = value
        elif not _is_default(keyword, value):
            raise TypeError(_unsupported(name, keyword))
    return fitting


_DEFAULTS: dict[str, tuple[object, ...]] = {
    "order": ("K", "C", "A"), "subok": (True, False), "copy": (True,), "like": (), "where": (True,),
    "overwrite_input": (False,), "mode": ("raise",), "casting": ("same_kind",), "ddof": (0,),
    "correction": (0,), "device": ("cpu",), "stable": (True, False), "kind": (),
}  # fmt: skip


def _is_default(keyword: str, value: object) -> bool:
    """Whether a keyword changes nothing: None, or what it is anyway."""
    if value is None or value is np._NoValue:
        return True
    return isinstance(value, str | bool | int) and value in _DEFAULTS.get(keyword, ())


def _name(function: Function | np.ufunc) -> str:
    """As a user would write it: np.linalg.norm."""
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module.replace('numpy', 'np', 1)}.{function.__name__}"
