"""A graph read with symbols in place of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from ..arguments import check_kind
from ..engine import primitives as p
from ..engine.graph import FreedGraphError
from ..engine.tensor import Tensor
from .exact_numbers import Expressions, symbol_array, to_rational
from .sympy_rules import sympy_rules

Known = dict[Tensor, Expressions]  # what each Tensor is in symbols


def expressions(output: Tensor, symbols: Mapping[Tensor, Any]) -> Any:
    """Read the graph of a Tensor as SymPy expressions.

    Parameters
    ----------
    output
        A Tensor, such as a loss, or a gradient found with ``create_graph=True``.
    symbols
        The symbols for Tensors, each a name or symbols in an array of the Tensor's shape. A vector
        named z has the elements z_1, z_2, ..., real numbers. The Tensor need not be a leaf: the
        graph is read from the output back to Tensors with symbols.

    Returns
    -------
    numpy.ndarray or sympy.Expr
        An array of the output's shape; an expression by itself where that is 0-d.

    Raises
    ------
    TypeError, ValueError, FreedGraphError
        A primitive cannot be read; symbols of another shape than their Tensor, or an expression too
        deep for SymPy; a graph that was freed by backward().

    Notes
    -----
    What has no symbol is constant. A floating point number is read as the simplest fraction that
    rounds to it, 0.1 as 1/10. What has no derivative, such as the comparison in relu's slope, is a
    constant in a graph, unless it was made inside of `recording`.

    >>> import tinygrad_ce as tg
    >>> z = tg.Tensor([2.0, 1.0], requires_grad=True)
    >>> loss = z.exp().sum().log() - z[0]
    >>> expressions(loss, {z: "z"})
    -z_1 + log(exp(z_1) + exp(z_2))
    >>> (gradient,) = tg.gradients(loss, [z], create_graph=True)
    >>> expressions(gradient, {z: "z"})[1]
    exp(z_2)/(exp(z_1) + exp(z_2))
    """
    check_kind("output", output, Tensor)
    check_kind("symbols", symbols, Mapping, "a dict of symbols by their Tensors")
    known = {t: _given(t, given) for t, given in symbols.items()}
    return read_nodes([output], known)[output][()]


def _given(t: Tensor, given: Any) -> Expressions:
    if not isinstance(t, Tensor):
        raise TypeError(f"symbols stand for Tensors, got {type(t).__name__}")
    symbols = symbol_array(given, t.shape) if isinstance(given, str) else to_rational(given)
    if symbols.shape != t.shape:
        needed = f"needs symbols of its shape {t.shape}"
        raise ValueError(f"{t.label()} {needed}, got shape {symbols.shape}")
    return symbols


def read_nodes(outputs: Iterable[Tensor], known: Known) -> Known:
    """The expressions of the outputs, and of all from which they were made, and the known ones."""
    found: set[Tensor] = set()
    todo = list(outputs)
    while todo:
        node = todo.pop()
        if node in found or node in known:
            continue
        found.add(node)
        if node.inputs is None or node._retains_grad is None:
            raise FreedGraphError(node)
        todo += node.inputs
    read = dict(known)
    for node in sorted(found, key=attrgetter("index")):
        read[node] = expression_of(node, read) if node.inputs else to_rational(node._value)
    return read


def expression_of(node: Tensor, known: Known) -> Expressions:
    primitive, inputs = node.primitive, node.inputs
    assert primitive is not None
    assert inputs is not None
    arguments: list[Any] = [known[source] for source in inputs]
    if primitive in (p.getitem, p.scatter):  # what comes after the first input is an index
        if any(e.free_symbols for index in arguments[1:] for e in index.flat):
            raise TypeError(f"{_cannot_read(node)}: its index depends on symbols")
        arguments[1:] = node._arguments[1 : len(inputs)]
    rule = sympy_rules().get(primitive, primitive.value)
    try:
        expressions = to_rational(rule(*arguments, *node.params))
    except RecursionError as error:
        remedy = "give a tensor on the way to it a symbol of its own"
        deep = f"the expression of {node.label()} is nested too deeply for SymPy"
        raise ValueError(f"{deep}: {remedy}") from error
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise TypeError(_cannot_read(node)) from error
    if expressions.shape != node.shape:
        raise TypeError(f"{_cannot_read(node)}: its value has another shape, {expressions.shape}")
    return expressions


def _cannot_read(node: Tensor) -> str:
    assert node.primitive is not None
    return (
        f"the primitive {node.primitive.name} cannot be read as SymPy expressions; "
        f"a symbol can stand for {node.label()}"
    )
