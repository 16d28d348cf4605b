"""Several assignments as one: an interruption, a signal handler or a thread sees all or none.

CPython runs handlers of signals, and switches threads, between instructions of Python code, never
inside of a call in C that runs no Python code. So what belongs together is computed first, and then
assigned by one such call, in which iterators written in C set the slots of nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain, repeat
from operator import is_not

from .array_types import Value
from .graph import AnyNode, Node

_get_grad: Callable[[Node], Value] = Node.__dict__["_grad"].__get__
_set_grad: Callable[[Node, Value], None] = Node.__dict__["_grad"].__set__


def commit(*assignments: Iterable[None]) -> None:
    """Run through iterators, such as ``map(setattr, objects, names, values)``, in one call in C.

    They must not run Python code: no functions written in Python, no attributes with setters.
    """
    any(chain(*assignments))


def clear_gradients(nodes: Iterable[Node]) -> None:
    """Set the gradients of nodes to None, all at once."""
    any(map(_set_grad, nodes, _NONE))


_NONE = repeat(None)


def accumulate(gradients: Mapping[AnyNode, Value], add: Callable[[Value, Value], Value]) -> None:
    """Add to the gradients of nodes, all at once; what others add meanwhile is not lost.

    No lock is held. Where somebody else has bound a gradient since it was read, nothing is bound,
    and the sums are computed again.
    """
    done = _replace(gradients, _NONE, gradients.values())
    while not done:
        before = [*map(_get_grad, gradients)]
        pairs = zip(before, gradients.values(), strict=True)
        done = _replace(gradients, before, [g if old is None else add(old, g) for old, g in pairs])


def _replace(nodes: Iterable[Node], before: Iterable[Value], after: Iterable[Value]) -> bool:
    """Bind the gradients of nodes if they are still those before; return whether they were."""
    # any() ends at the first that has changed, and then nothing is bound.
    changed = map(is_not, map(_get_grad, nodes), before)
    return not any(chain(changed, map(_set_grad, nodes, after)))
