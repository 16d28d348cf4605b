"""Parameter trees: arrays in nested dicts, lists, tuples and named tuples, as one argument.

A list or tuple of numbers alone is an array, as everywhere; one that holds an array, a Tensor or
another container is a tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .array_types import Value
from .tensor import Tensor


def is_tree(x: object, depth: int = 64) -> bool:
    """Return whether x is a container of arrays, and not an array itself."""
    if isinstance(x, dict) or (isinstance(x, tuple) and hasattr(x, "_fields")):
        return True
    if isinstance(x, list | tuple) and depth:  # what holds itself is none
        leaf = Tensor | np.ndarray
        return x == () or any(isinstance(part, leaf) or is_tree(part, depth - 1) for part in x)
    return False


def leaves(tree: object) -> list[Value]:
    """Return what is in a tree, from left to right; of what is no tree, itself.

    >>> leaves({"w": [np.ones(1), np.zeros(1)], "b": 2.0})
    [array([1.]), array([0.]), 2.0]
    """
    if not is_tree(tree):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in leaves(part)]  # type: ignore[attr-defined]


def rebuild(tree: object, replacements: Iterator[Value]) -> Value:
    """Return a tree of the same containers, with the next of the replacements for each leaf.

    >>> rebuild({"w": (np.ones(1), 2.0)}, iter("ab"))
    {'w': ('a', 'b')}
    """
    if not is_tree(tree):
        return next(replacements)
    if isinstance(tree, dict):
        pairs = [(key, rebuild(part, replacements)) for key, part in tree.items()]
        return dict(pairs) if type(tree) is dict else type(tree)(pairs)
    parts = [rebuild(part, replacements) for part in tree]  # type: ignore[attr-defined]
    if hasattr(tree, "_fields"):
        return type(tree)(*parts)
    return parts if isinstance(tree, list) else tuple(parts)


def map_leaves(function: Callable[[Value], Value], tree: object) -> Value:
    """Return a tree of the same containers, with the function of each leaf."""
    return rebuild(tree, map(function, leaves(tree)))


def leaves_like(given: object, tree: object, what: str) -> list[Value]:
    """Return the leaves of what has been given for a tree, in the same containers.

    Raises
    ------
    ValueError
        It has other containers.
    """
    if not is_tree(tree):
        return [given]
    same = type(given) is type(tree) and len(given) == len(tree)  # type: ignore[arg-type]
    if not same or (isinstance(tree, dict) and given.keys() != tree.keys()):  # type: ignore[attr-defined]
        raise ValueError(f"{what}: expected the containers {_sketch(tree)}, got {_sketch(given)}")
    keys = tree if isinstance(tree, dict) else range(len(tree))  # type: ignore[arg-type]
    return [leaf for key in keys for leaf in leaves_like(given[key], tree[key], what)]  # type: ignore[index]


def _sketch(tree: object) -> str:
    return str(map_leaves(lambda leaf: ..., tree)).replace("Ellipsis", "·")
