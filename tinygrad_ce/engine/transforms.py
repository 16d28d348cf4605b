"""Derivatives as functions: grad, vjp, jacobian, hessian, and gradients of any tensors of a graph.

Each transform takes a function of Tensors and returns a function. Its arguments become variables of
their own (an identity in the graph), so that nested transforms and closures never confuse whose
derivative is meant, and so that derivatives nest to any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from . import primitives as p
from .backprop import backpropagate
from .context import MODE, active_recorder, enable_grad
from .graph import topological_order
from .operations import concatenate
from .tensor import Array, Tensor, apply, as_tensor, constant

Argnums = int | tuple[int, ...]


def gradients(
    output: Tensor,
    tensors: Sequence[Tensor],
    cotangent: Any = None,
    create_graph: bool = False,
) -> tuple[Any, ...]:
    """∂output/∂t for any tensors of the output's graph, intermediates too.

    Touches no `.grad`, and frees nothing.

    Parameters
    ----------
    output
        The Tensor to differentiate.
    tensors
        With respect to what. One on which the output does not depend has a gradient of zeros.
    cotangent
        ∂L/∂output, of the output's shape; may be left out when there is one element.
    create_graph
        Return Tensors that can be differentiated again, instead of arrays.

    Returns
    -------
    tuple
        One gradient for each tensor, of its shape and dtype.

    Raises
    ------
    TypeError
        `tensors` is a single Tensor, or holds something else.
    ValueError
        One of the tensors needs no gradient, so its part in the output was not recorded.
    FreedGraphError
        The graph was freed by backward().

    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> y = x * x
    >>> gradients(y.sum(), [x, y])
    (array([2., 4.]), array([1., 1.]))
    """
    if isinstance(tensors, Tensor):
        raise TypeError("gradients() takes a sequence of tensors: write [t], not t")
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"gradients() are with respect to Tensors, got {type(t).__name__}")
        if not t.requires_grad:
            raise ValueError(
                f"{t.label()} needs no gradient, so nothing was recorded of its part in the "
                "output: make it with requires_grad=True before computing the output"
            )
    found = gradients_where_reached(output, tensors, cotangent, create_graph)
    return tuple(
        _zeros(t, create_graph) if g is None else g for g, t in zip(found, tensors, strict=True)
    )


def gradients_where_reached(
    output: Tensor, tensors: Sequence[Tensor], cotangent: Any = None, create_graph: bool = False
) -> list[Any]:
    """As `gradients`, but None for a tensor that no gradient reaches: 0 is something else."""
    create_graph = create_graph or active_recorder() is not None
    seed = _seed(output, cotangent, create_graph)
    kept = backpropagate(
        output, seed if create_graph else seed._value, wanted=tensors, create_graph=create_graph
    )
    found = [kept.get(t) for t in tensors]
    return found if create_graph else [g if g is None else np.array(g) for g in found]


def _seed(output: Tensor, cotangent: Any, create_graph: bool) -> Tensor:
    """The cotangent of the output, checked; where the walk makes a graph, with its own graph."""
    if not (create_graph and isinstance(cotangent, Tensor)):
        return constant(output.cotangent(cotangent))
    if cotangent.shape != output.shape:
        raise ValueError(
            f"the cotangent of {output.label()} must have its shape {output.shape}, "
            f"got {cotangent.shape}"
        )
    return cotangent


def _zeros(t: Tensor, create_graph: bool) -> Any:
    zeros = np.zeros(t.shape, t.dtype)
    return Tensor(zeros, copy=False) if create_graph else zeros


# ── Transforms ────────────────────────────────────────────────────────────────────────────────────


def grad(f: Callable[..., Tensor], argnums: Argnums = 0) -> Callable[..., Any]:
    """The gradient of a scalar function, as a function.

    Parameters
    ----------
    f
        A function of Tensors that returns a Tensor with one element.
    argnums
        Which argument to differentiate by; a tuple for several.

    Returns
    -------
    callable
        Takes what f takes, and returns a Tensor of the argument's shape (a tuple for several).

    >>> import tinygrad_ce as tg
    >>> tg.grad(lambda x: x**3)(2.0)
    Tensor(12.)
    >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
    Tensor(12.)
    >>> tg.grad(lambda a, b: a * b, argnums=(0, 1))(2.0, 5.0)
    (Tensor(5.), Tensor(2.))
    """
    both = value_and_grad(f, argnums)

    @wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return gradient


def value_and_grad(f: Callable[..., Tensor], argnums: Argnums = 0) -> Callable[..., Any]:
    """As `grad`, but the function returns the value of f too: (value, gradient).

    >>> import tinygrad_ce as tg
    >>> tg.value_and_grad(lambda x: x * x)(3.0)
    (Tensor(9.), Tensor(6.))
    """

    @wraps(f)
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        y, pull = _linearize(f, argnums, args, kwargs)
        if y.size != 1:
            raise ValueError(
                f"grad is of functions with one element as their value, got shape {y.shape}: "
                "reduce it, or use tg.jacobian or tg.vjp"
            )
        return pull.value, pull(None)

    return value_and_gradient


def vjp(f: Callable[..., Tensor], *args: Any) -> tuple[Tensor, Callable[[Any], Any]]:
    """The value of f, and the function that takes a cotangent back to the arguments.

    Returns
    -------
    value, pullback
        `pullback(cotangent)` returns Tensors of the arguments' shapes: one, or a tuple where f
        has several arguments. It can be called any number of times.

    >>> import numpy as np, tinygrad_ce as tg
    >>> y, pullback = tg.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pullback(np.array([1.0, 10.0]))
    Tensor([ 2., 40.])
    """
    argnums: Argnums = tuple(range(len(args))) if len(args) != 1 else 0
    _, pull = _linearize(f, argnums, args, {})
    return pull.value, pull


def jvp(f: Callable[..., Tensor], args: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The value of f, and its derivative along the tangents: Σ ∂f/∂x · v.

    It is found by two walks back: the first gives the gradient as a function of its cotangent u,
    which is linear in u, and the second its derivative by u.

    Parameters
    ----------
    f
        A function of Tensors.
    args
        Its arguments.
    tangents
        For each argument, an array of its shape.

    Returns
    -------
    value, tangent
        Both of the value's shape.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.jvp(lambda a, b: a * b, [2.0, 3.0], [1.0, 0.5])
    (Tensor(6.), Tensor(4.))
    """
    if len(args) != len(tangents):
        raise ValueError(f"jvp needs a tangent for each of {len(args)} arguments: {len(tangents)}")
    y, pull = _linearize(f, tuple(range(len(args))), tuple(args), {})
    directions = [as_tensor(v) for v in tangents]
    for i, (x, v) in enumerate(zip(pull.variables, directions, strict=True)):
        if x.shape != v.shape:
            raise ValueError(f"tangent {i} must have its argument's shape {x.shape}, got {v.shape}")
    u = Tensor(np.zeros(y.shape, y.dtype), requires_grad=True)
    further = pull.outside or any(map(_is_open, directions))
    with enable_grad():
        back = gradients_where_reached(y, pull.variables, u, create_graph=True) if pull.open else []
        along = constant(np.zeros((), y.dtype)[()])
        for g, v in zip(back, directions, strict=False):
            along = along if g is None else along + (g * v).sum()
        (tangent,) = (
            gradients_where_reached(along, [u], create_graph=further)
            if along.requires_grad
            else [None]
        )
    if tangent is None:
        return pull.value, _zeros(u, True)
    return pull.value, tangent if further else constant(tangent[()])


def jacobian(f: Callable[..., Tensor], argnums: Argnums = 0) -> Callable[..., Any]:
    """The Jacobian of f, as a function: ∂f_i/∂x_j, of shape (*shape of f, *shape of x).

    All rows are found in one walk, with a batch of cotangents, as far as memory allows.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    """

    @wraps(f)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        y, pull = _linearize(f, argnums, args, kwargs)
        basis = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
        largest = max(node.size for node in topological_order(y)) if pull.open else 1
        rows = max(1, MAX_BATCH // max(largest, 1))
        parts = [pull.batch(basis[i : i + rows]) for i in range(0, max(y.size, 1), rows)]
        blocks = [
            concatenate(block).reshape(y.shape + block[0].shape[1:])
            for block in zip(*parts, strict=True)
        ]
        return _each(argnums, blocks)

    return jacobian_of


# The most elements that a gradient of one node may have in a batch of cotangents: 128 MiB.
MAX_BATCH = 2**24


def hessian(f: Callable[..., Tensor], argnums: Argnums = 0) -> Callable[..., Any]:
    """The Hessian of a scalar function, as a function: the Jacobian of its gradient.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.hessian(lambda x: (x * x * x).sum())(np.array([1.0, 2.0]))
    Tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    if isinstance(argnums, tuple):
        blocks = [jacobian(grad(f, i), argnums) for i in argnums]

        @wraps(f)
        def hessian_of(*args: Any, **kwargs: Any) -> Any:
            return tuple(block(*args, **kwargs) for block in blocks)

        return hessian_of
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[[Tensor], Tensor], x: Any, v: Any) -> Tensor:
    """The Hessian of a scalar function at x times a vector v of x's shape, without the Hessian.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.hvp(lambda x: (x * x * x).sum(), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    Tensor([ 6., 12.])
    """
    direction = as_tensor(v)
    shape = as_tensor(x).shape
    if direction.shape != shape:
        raise ValueError(f"hvp: v must have the shape of x, {shape}, got {direction.shape}")
    product: Tensor = grad(lambda z: (grad(f)(z) * direction).sum())(x)
    return product


# ── How a transform works ─────────────────────────────────────────────────────────────────────────

# What f gets as a Tensor even where it is not differentiated by; the rest is passed on as it is.
_NUMERIC = (np.ndarray, np.number, float)


class _Pullback:
    """The way from a cotangent of f's value back to f's arguments.

    `outside` says whether someone outside can differentiate further, `open` whether the value
    depends on anything.
    """

    def __init__(self, y: Tensor, variables: list[Tensor], argnums: Argnums, outside: bool) -> None:
        self.y = y
        self.variables = variables
        self.argnums = argnums
        self.outside = outside
        self.open = y.requires_grad
        self.value = y if outside else y.detach()

    def __call__(self, cotangent: Any) -> Any:
        further = self.outside or _is_open(cotangent)
        seed = _seed(self.y, cotangent, further)
        return _each(self.argnums, self._walk(seed, (), further))

    def batch(self, cotangents: Array) -> list[Tensor]:
        """For cotangents of shape (n, *shape of y), gradients of shape (n, *shape of x)."""
        return self._walk(constant(cotangents), cotangents.shape[:1], self.outside)

    def _walk(self, seed: Tensor, batch: tuple[int, ...], further: bool) -> list[Tensor]:
        kept: dict[Tensor, Any] = {}
        if self.open:
            with enable_grad():
                kept = backpropagate(
                    self.y,
                    seed if further else seed._value,
                    wanted=self.variables,
                    create_graph=further,
                )
        found = [kept.get(v, np.zeros(batch + v.shape, v.dtype)) for v in self.variables]
        return [g if isinstance(g, Tensor) else constant(np.array(g)[()]) for g in found]


def _is_open(x: Any) -> bool:
    """Whether a gradient may be wanted of what is computed with x."""
    return isinstance(x, Tensor) and x.requires_grad and MODE.get().grad


def _linearize(
    f: Callable[..., Tensor], argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Tensor, _Pullback]:
    """Call f on variables of this transform, and return its value with the way back.

    A graph of the gradient is recorded only where someone outside can ask for it: where the value
    depends on a tensor with requires_grad that is not one of these variables.
    """
    chosen = argnums if isinstance(argnums, tuple) else (argnums,)
    for i in chosen:
        if not -len(args) <= i < len(args):
            raise ValueError(f"argnums: there is no argument {i}, the function got {len(args)}")
    recording_outside = MODE.get().grad
    full: list[Any] = [as_tensor(a) if isinstance(a, _NUMERIC) else a for a in args]
    variables = []
    for i in chosen:
        full[i] = _variable(args[i], i)
        variables.append(full[i])
    with enable_grad():
        y = f(*full, **kwargs)
    if not isinstance(y, Tensor):
        raise TypeError(f"the function must return a Tensor, got {type(y).__name__}: {y!r}")
    own = {id(v) for v in variables if v.primitive is None}
    outside = active_recorder() is not None or (
        recording_outside
        and any(
            node.primitive is None and id(node) not in own
            for node in topological_order(y, grad_only=True)
        )
    )
    return y, _Pullback(y, variables, argnums, outside)


def _variable(argument: Any, i: int) -> Tensor:
    """A variable with the argument's value: a node of its own, even if the argument is in use."""
    if not isinstance(argument, Tensor):
        try:
            argument = Tensor(argument)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"argument {i} must be numeric to differentiate by it, got {argument!r}"
            ) from error
    if argument.requires_grad:
        return apply(p.identity, argument)
    return Tensor(argument, requires_grad=True, name=argument.name)


def _each(argnums: Argnums, items: list[Any]) -> Any:
    return tuple(items) if isinstance(argnums, tuple) else items[0]
