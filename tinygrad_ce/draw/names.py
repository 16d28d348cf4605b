"""Find a name for each tensor: its own, else that of a variable in the code that draws it.

Variables are looked at when a graph is drawn, and only then: those of the frame that draws come
first, then its module's, then those of the frames around it, and at last what is in lists,
dictionaries and attributes of the first two. Of functions that have returned, `remember_lines`
knows the variables. What has no name then is called by a short expression of names on the page,
such as ``exp(z)`` or ``softmax(z)``, or by a variable of this package, and at last by a number such
as t3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import FrameType, ModuleType
from typing import Any

from ..engine.graph import Scope
from ..engine.names import printable
from ..engine.tensor import Tensor
from .formatting import params
from .source_lines import assigned_names

Names = dict[int, str]  # by the number of a tensor's creation, which its copies have too

MAX_EXPRESSION = 19
MAX_SEARCHED = 1_000  # elements of a list or a dictionary

_INFIX = {
    "add": "+", "subtract": "−", "multiply": "·", "divide": "/", "matmul": "@",
}  # fmt: skip
# Kept by IPython for the cells of a notebook, and names that say nothing.
_NOT_NAMES = frozenset(("In", "Out", "self", "cls"))

Variables = Iterable[tuple[str, Any]]


def names_of(tensors: Sequence[Tensor], frame: FrameType) -> Names:
    """Return the names of these tensors, as far as they have one.

    >>> import sys
    >>> z = Tensor(1.0, name="logits")
    >>> e = z + 1
    >>> list(names_of([z, e], sys._getframe()).values())
    ['logits', 'e']
    """
    names: Names = {}
    unnamed = set()
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
    return assigned_names(tensors) | names


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


def scope_results(nodes: Sequence[Tensor]) -> dict[Tensor, tuple[Scope, list[Tensor]]]:
    """Return the last values of scopes, each with the outermost such scope and what it was made of.

    That is what comes into the scope, without parameters if there is anything else.

    >>> from tinygrad_ce import nn
    >>> from tinygrad_ce.engine.graph import topological_order
    >>> y = nn.MLP([2, 3, 1])(Tensor([[1.0, 2.0]], name="x"))
    >>> scope, inputs = scope_results(topological_order(y))[y]
    >>> scope.name, [t.name for t in inputs]
    ('MLP', ['x'])
    """
    last: dict[Scope, Tensor] = {}
    inside: dict[Tensor, list[Scope]] = {}  # from the innermost out
    for node in nodes:
        inside[node] = scopes = []
        scope = node.scope
        while scope is not None:
            scopes.append(scope)
            last[scope] = node
            scope = scope.parent
    inputs: dict[Scope, dict[Tensor, None]] = {scope: {} for scope in last}
    for node in nodes:
        for source in node.inputs or ():
            for scope in inside[node]:
                if scope in inside[source]:
                    break
                inputs[scope][source] = None
    found = {}
    # The outermost comes last.
    depth = {scope: len(inside[node]) - inside[node].index(scope) for scope, node in last.items()}
    for scope, node in sorted(last.items(), key=lambda item: -depth[item[0]]):
        given = [t for t in inputs[scope] if t.primitive or not t.requires_grad]
        found[node] = scope, given or list(inputs[scope])
    return found


def expression(
    node: Tensor, name_of: Callable[[Tensor], str], scope: Scope | None = None,
    inputs: Sequence[Tensor] = (),
) -> str:  # fmt: skip
    """Write what made a node, if that is short and everything in it has a name; else nothing.

    That is a scope and its inputs, or else its primitive.

    >>> z = Tensor([1.0, 2.0], name="z", requires_grad=True)
    >>> [expression(t, lambda t: t.name or "") for t in (z.exp(), z.sum(), z + z, z[0], -z)]
    ['exp(z)', 'Σ(z)', 'z + z', 'z[0]', '−(z)']
    """
    names = [name_of(source) for source in inputs]
    if scope and names and all(names):
        written = f"{printable(scope.name)}({', '.join(names)})"
        if len(written) <= MAX_EXPRESSION:
            return written
    primitive, names = node.primitive, [name_of(source) for source in node.inputs or ()]
    if primitive is None or not names or not all(names):
        return ""
    if sign := _INFIX.get(primitive.name):
        written = f" {sign} ".join(f"({name})" if " " in name else name for name in names)
    elif primitive.name == "getitem":
        index = params(primitive.params, node.params) if len(names) == 1 else ", ".join(names[1:])
        written = f"{names[0]}[{index}]"
    elif primitive.name == "transpose":
        written = f"{names[0]}ᵀ"
    else:
        written = f"{primitive.symbol}({', '.join(names)})"
    return written if len(written) <= MAX_EXPRESSION else ""
