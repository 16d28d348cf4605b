"""Find a name for each tensor: its own, else that of a variable in the code that draws it.

Variables are looked at when a graph is drawn, and only then: those of the frame that draws come
first, then its module's, then those of the frames around it, and at last what is in lists,
dictionaries and attributes of the first two. What has no name then is called by a short expression
of names on the page, such as ``exp(z)``, and by a number such as t3 where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from types import FrameType, ModuleType
from typing import Any

from ..engine.tensor import Tensor

Names = dict[int, str]  # by the number of a tensor's creation, which its copies have too

MAX_EXPRESSION = 20
MAX_SEARCHED = 1_000  # elements of a list or a dictionary

_INFIX = {
    "add": "+", "subtract": "−", "multiply": "·", "divide": "/", "matmul": "@",
}  # fmt: skip
# Kept by IPython for the cells of a notebook, and names that say nothing.
_NOT_NAMES = frozenset(("In", "Out", "self", "cls"))

Variables = Iterable[tuple[str, Any]]


def names_of(tensors: Iterable[Tensor], frame: FrameType) -> Names:
    """Return the names of these tensors, as far as they have one.

    >>> import sys
    >>> z = Tensor(1.0, name="logits")
    >>> e = z + 1
    >>> list(names_of([z, e], sys._getframe()).values())
    ['logits', 'e']
    """
    names, unnamed = {}, set()
    for tensor in tensors:
        if tensor.name:
            names[tensor.index] = str(tensor.name)
        else:
            unnamed.add(tensor.index)
    for variables in _scopes(frame):
        for name, value in variables:
            if isinstance(value, Tensor) and value.index in unnamed:
                names[value.index] = name
                unnamed.discard(value.index)
        if not unnamed:
            break
    return names


def _scopes(frame: FrameType) -> Iterator[Variables]:
    near = [frame.f_locals, frame.f_globals]
    yield from map(_variables, near)
    around = frame.f_back
    while around is not None:
        yield _variables(around.f_locals)
        around = around.f_back
    for scope in near:
        yield (part for name, value in _variables(scope) for part in _inside(name, value))


def _variables(scope: Mapping[str, Any]) -> Variables:
    return [
        (name, value)
        for name, value in list(scope.items())
        if name.isidentifier() and not name.startswith("_") and name not in _NOT_NAMES
    ]


def _inside(name: str, value: Any) -> Variables:
    """What a list, a dictionary or an object holds, without running code of its class."""
    if isinstance(value, list | tuple):
        return ((f"{name}[{i}]", part) for i, part in enumerate(value[:MAX_SEARCHED]))
    if isinstance(value, dict):
        return ((f"{name}[{k!r}]", v) for k, v in islice(value.items(), MAX_SEARCHED))
    if isinstance(value, ModuleType | type | Tensor):
        return ()
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return ()
    return ((f"{name}.{k}", v) for k, v in attributes.items() if not k.startswith("_"))


def expression(node: Tensor, name_of: Callable[[Tensor], str | None]) -> str | None:
    """Write what made a node in the names of its inputs, if all have one and it is short.

    >>> z = Tensor([1.0, 2.0], name="z", requires_grad=True)
    >>> [expression(t, lambda t: t.name) for t in (z.exp(), z.sum(), z + z, z[0], -z)]
    ['exp(z)', 'Σ(z)', 'z + z', 'z[0]', '−(z)']
    """
    if node.primitive is None or not node.inputs:
        return None
    found = [name_of(source) for source in node.inputs]
    names = [name for name in found if name]
    if len(names) < len(found):
        return None
    primitive = node.primitive
    if sign := _INFIX.get(primitive.name):
        operands = (f"({name})" if " " in name else name for name in names)
        written = f" {sign} ".join(operands)
    elif primitive.name == "getitem":
        from .formatting import params

        index = params(primitive.params, node.params) if len(names) == 1 else ", ".join(names[1:])
        written = f"{names[0]}[{index}]"
    elif len(names) == 1 and primitive.name == "transpose":
        written = f"{names[0]}ᵀ"
    else:
        written = f"{primitive.symbol}({', '.join(names)})"
    return written if len(written) <= MAX_EXPRESSION else None
