"""Derivatives as functions: grad, vjp, jacobian, hessian, and gradients of any tensors of a graph.

Each transform takes a function of Tensors and returns a function. Its arguments become variables of
their own (an identity in the graph), so that nested transforms and closures never confuse whose
derivative is meant, and so that derivatives nest to any order.

An argument, and a value other than that of `grad`, can be a tree: dicts, lists, tuples and named
tuples of arrays. What is found has the same containers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce, wraps
from itertools import accumulate

import numpy as np

from ..arguments import check_callable, check_flag, check_integer, check_kind, check_sequence
from . import primitives as p
from .array_types import Arguments, Array, Value
from .backprop import backpropagate
from .context import MODE, active_recorder, enable_grad, no_grad, transforming
from .graph import topological_order
from .hooks import Options
from .operations import concatenate
from .parameter_trees import is_tree, leaves, leaves_like, map_leaves, rebuild
from .tensor import Tensor, TensorLike, apply, as_tensor, constant

Argnums = int | tuple[int, ...]
TensorFunction = Callable[..., Value]  # returns a Tensor, or a tree of them
Derivative = Callable[..., Value]  # returns a Tensor or tree, or a tuple where argnums is one


def gradients(
    output: Tensor,
    tensors: Sequence[Tensor],
    cotangent: TensorLike | None = None,
    create_graph: bool = False,
) -> tuple[Value, ...]:
    """Return ∂output/∂t for any tensors of the output's graph, intermediates too.

    Touches no `.grad`, and frees nothing.

    Parameters
    ----------
    output, tensors
        What to differentiate, and with respect to what. A tensor on which the output does not
        depend has a gradient of zeros.
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
    >>> tg.gradients(y.sum(), [x, y])
    (array([2., 4.]), array([1., 1.]))
    """
    if isinstance(tensors, Tensor):
        raise TypeError("gradients() takes a sequence of tensors: write [t], not t")
    check_kind("output", output, Tensor)
    check_flag("create_graph", create_graph)
    tensors = check_sequence("tensors", tensors)
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
    output: Tensor,
    tensors: Sequence[Tensor],
    cotangent: TensorLike | None = None,
    create_graph: bool = False,
) -> list[Value]:
    """As `gradients`, but None for a tensor that no gradient reaches, which differs from 0."""
    recorder = active_recorder()
    if recorder is not None and not create_graph:
        with no_grad():
            if isinstance(cotangent, Tensor):
                cotangent = cotangent.detach()
            found = gradients_where_reached(output, tensors, cotangent, create_graph=True)
        return [g if g is None else recorder.returning(g) for g in found]
    seed = _seed(output, cotangent, create_graph)
    kept = backpropagate(
        output, seed if create_graph else seed._value, wanted=tensors, create_graph=create_graph
    )
    found = [kept.get(t) for t in tensors]
    return found if create_graph else [g if g is None else np.array(g) for g in found]


def _seed(output: Tensor, cotangent: TensorLike | None, create_graph: bool) -> Tensor:
    """The cotangent of the output, checked; where the walk makes a graph, with its own graph."""
    if not (create_graph and isinstance(cotangent, Tensor)):
        return constant(output.cotangent(cotangent))
    if cotangent.shape != output.shape:
        raise ValueError(
            f"the cotangent of {output.label()} must have its shape {output.shape}, "
            f"got {cotangent.shape}"
        )
    return cotangent


def _zeros(t: Tensor, create_graph: bool) -> Value:
    zeros = np.zeros(t.shape, t.dtype)
    return Tensor(zeros, copy=False) if create_graph else zeros


# ── Transforms ────────────────────────────────────────────────────────────────────────────────────


def grad(f: TensorFunction, argnums: Argnums = 0, *, has_aux: bool = False) -> Derivative:
    """Return the gradient of a scalar function, as a function.

    Parameters
    ----------
    f
        A function of Tensors that returns a Tensor with one element.
    argnums
        With respect to which argument, an array or a tree of arrays; a tuple for several.
    has_aux
        Whether f returns a pair, of which the second part is passed on: (gradient, second part).

    Returns
    -------
    callable
        Takes what f takes, and returns a Tensor of the argument's shape (a tuple for several).

    Raises
    ------
    ValueError
        When called: f has no such argument, or its value has another number of elements than one.
    TypeError
        When called: the argument is not numeric, or f does not return a Tensor.

    >>> import tinygrad_ce as tg
    >>> tg.grad(lambda x: x**3)(2.0)
    Tensor(12.)
    >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
    Tensor(12.)
    >>> tg.grad(lambda a, b: a * b, argnums=(0, 1))(2.0, 5.0)
    (Tensor(5.), Tensor(2.))
    >>> tg.grad(lambda w: w["a"] * w["b"])({"a": 2.0, "b": 5.0})
    {'a': Tensor(5.), 'b': Tensor(2.)}
    """
    both = value_and_grad(f, argnums, has_aux=has_aux)

    @wraps(check_callable("f", f))
    def gradient(*args: object, **kwargs: object) -> Value:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def value_and_grad(f: TensorFunction, argnums: Argnums = 0, *, has_aux: bool = False) -> Derivative:
    """Return a function as `grad` does, which returns the value of f too: (value, gradient).

    Parameters and errors are those of `grad`. With `has_aux`, the value is the pair.

    >>> import tinygrad_ce as tg
    >>> tg.value_and_grad(lambda x: x * x)(3.0)
    (Tensor(9.), Tensor(6.))
    """

    @wraps(check_callable("f", f))
    def value_and_gradient(*args: object, **kwargs: object) -> tuple[Value, Value]:
        pullback = _trace_call(f, argnums, args, kwargs, has_aux)
        y = pullback.y
        if pullback.tree is not None:
            raise TypeError(f"grad is of functions that return a Tensor, got {pullback.value!r}")
        if y.size != 1:
            raise ValueError(
                f"grad is of functions with one element as their value, got shape {y.shape}: "
                "reduce it, or use tg.jacobian or tg.vjp"
            )
        value = (pullback.value, pullback.aux) if has_aux else pullback.value
        return value, pullback(None)

    return value_and_gradient


def elementwise_grad(f: TensorFunction, argnums: Argnums = 0) -> Derivative:
    """Return the derivative of a function that works element by element, as a function.

    It is the gradient of the sum of f: of a function that mixes elements, the sums of the columns
    of the Jacobian. Parameters are those of `grad`.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.elementwise_grad(np.sin)([0.0, np.pi])
    Tensor([ 1., -1.])
    """

    @wraps(check_callable("f", f))
    def derivative(*args: object, **kwargs: object) -> Value:
        pullback = _trace_call(f, argnums, args, kwargs)
        return pullback.pull(constant(np.ones(pullback.y.shape, pullback.y.dtype)[()]))

    return derivative


def vjp(f: TensorFunction, *args: TensorLike, has_aux: bool = False) -> Value:
    """Return the value of f, and the function that takes a cotangent back to the arguments.

    Parameters
    ----------
    f, args
        A function that returns a Tensor or a tree of them, and its arguments; the derivative is
        with respect to all.
    has_aux
        Whether f returns a pair, of which the second part is passed on, as a third part here.

    Returns
    -------
    value, pullback
        `pullback(cotangent)`, of a cotangent of the value's shape, returns Tensors of the
        arguments' shapes: one, or a tuple for several. It can be called any number of times.

    >>> import numpy as np, tinygrad_ce as tg
    >>> y, pullback = tg.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pullback(np.array([1.0, 10.0]))
    Tensor([ 2., 40.])
    """
    argnums: Argnums = tuple(range(len(args))) if len(args) != 1 else 0
    pullback = _trace_call(f, argnums, args, {}, has_aux)
    return (pullback.value, pullback, *[pullback.aux] * has_aux)


def jvp(
    f: TensorFunction,
    args: Sequence[TensorLike],
    tangents: Sequence[TensorLike],
    *,
    has_aux: bool = False,
) -> Value:
    """Return the value of f, and its derivative along the tangents: Σ ∂f/∂x · v.

    Two backward passes find it: the first gives the gradient as a function of its cotangent u,
    which is linear in u, and the second its derivative with respect to u.

    Parameters
    ----------
    f, args, tangents
        A function that returns a Tensor or a tree of them, its arguments, and for each an array of
        its shape.
    has_aux
        Whether f returns a pair, of which the second part is passed on, as a third part here.

    Returns
    -------
    value, tangent
        Both of the value's shape.

    Raises
    ------
    ValueError
        Another number of tangents than arguments, or a tangent of another shape.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.jvp(lambda a, b: a * b, [2.0, 3.0], [1.0, 0.5])
    (Tensor(6.), Tensor(4.))
    """
    args, tangents = check_sequence("args", args), check_sequence("tangents", tangents)
    if len(args) != len(tangents):
        raise ValueError(f"jvp needs a tangent for each of {len(args)} arguments: {len(tangents)}")
    pullback = _trace_call(f, tuple(range(len(args))), tuple(args), {}, has_aux)
    y = pullback.y
    pairs = enumerate(zip(tangents, args, strict=True))
    given = [leaf for i, (v, x) in pairs for leaf in leaves_like(v, x, f"tangent {i}")]
    directions = [as_tensor(leaf) for leaf in given]
    for i, (x, v) in enumerate(zip(pullback.variables, directions, strict=True)):
        if x.shape != v.shape:
            raise ValueError(f"tangent {i} must have its argument's shape {x.shape}, got {v.shape}")
    u = Tensor(np.zeros(y.shape, y.dtype), requires_grad=True)
    create_graph = pullback.differentiable_outside or any(map(_is_differentiable, directions))
    tangent: Value = None
    with enable_grad():
        along = constant(np.zeros((), y.dtype)[()])
        if pullback.depends_on_arguments:
            linear_in_u = gradients_where_reached(y, pullback.variables, u, create_graph=True)
            for g, v in zip(linear_in_u, directions, strict=True):
                along = along if g is None else along + (g * v).sum()
        if along.requires_grad:
            (tangent,) = gradients_where_reached(along, [u], create_graph=create_graph)
    if tangent is None:
        found = _zeros(u, True)
    else:
        found = tangent if create_graph else constant(tangent[()])
    return (pullback.value, pullback.as_value(found), *[pullback.aux] * has_aux)


def jacobian(f: TensorFunction, argnums: Argnums = 0, *, has_aux: bool = False) -> Derivative:
    """Return the Jacobian of f, as a function: ∂f_i/∂x_j, of shape (*shape of f, *shape of x).

    One backward pass finds all rows, with a batch of cotangents, as far as memory allows.
    Parameters are those of `grad`; the value of f may have any shape, or be a tree: each of its
    Tensors has the derivatives in its place then.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    """

    @wraps(check_callable("f", f))
    def jacobian_of(*args: object, **kwargs: object) -> Value:
        pullback = _trace_call(f, argnums, args, kwargs, has_aux)
        y = pullback.y
        axes = y.ndim + max([x.ndim for x in pullback.variables], default=0)
        if axes > MAX_AXES:
            raise ValueError(f"a Jacobian of {axes} axes is none for NumPy, which has {MAX_AXES}")
        if not y.size:
            empty = [np.zeros(y.shape + x.shape, x.dtype) for x in pullback.variables]
            blocks = [constant(block) for block in empty]
        else:
            blocks = rows_of(pullback)
        found = pullback.by_value(blocks)
        return (found, pullback.aux) if has_aux else found

    def rows_of(pullback: _Pullback) -> list[Tensor]:
        y = pullback.y
        basis = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
        nodes = topological_order(y) if pullback.depends_on_arguments else []
        rows = max(1, MAX_BATCH // max([node.size for node in nodes], default=1))
        parts = [pullback.batch(basis[i : i + rows]) for i in range(0, y.size, rows)]
        return [
            concatenate(block).reshape(y.shape + block[0].shape[1:])
            for block in zip(*parts, strict=True)
        ]

    return jacobian_of


MAX_AXES = 63  # of a Jacobian; an array has one more, and so has the batch of cotangents

# The most elements that a gradient of one node may have in a batch of cotangents: 128 MiB.
MAX_BATCH = 2**24


def hessian(f: TensorFunction, argnums: Argnums = 0) -> Derivative:
    """Return the Hessian of a scalar function, as a function: the Jacobian of its gradient.

    Parameters are those of `grad`. The result has the shape (*shape of x, *shape of x); a tuple of
    argnums gives a tuple of tuples of blocks, a tree a tree of trees.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.hessian(lambda x: (x * x * x).sum())(np.array([1.0, 2.0]))
    Tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    if isinstance(argnums, tuple):
        blocks = [jacobian(grad(f, i), argnums) for i in argnums]

        @wraps(check_callable("f", f))
        def hessian_of(*args: object, **kwargs: object) -> Value:
            return tuple(block(*args, **kwargs) for block in blocks)

        return hessian_of
    return jacobian(grad(f, argnums), argnums)


def hvp(f: TensorFunction, x: TensorLike, v: TensorLike) -> Value:
    """Return the Hessian of a scalar function at x times a vector v, without forming the Hessian.

    Parameters
    ----------
    f, x, v
        A function of one Tensor or tree that returns one element, and two arrays of one shape, or
        trees of such.

    Raises
    ------
    ValueError
        v has another shape than x.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.hvp(lambda x: (x * x * x).sum(), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    Tensor([ 6., 12.])
    """
    directions = [as_tensor(leaf) for leaf in leaves_like(v, x, "hvp: v")]
    for leaf, direction in zip(leaves(x), directions, strict=True):
        shape = as_tensor(leaf).shape
        if direction.shape != shape:
            raise ValueError(f"hvp: v must have the shape of x, {shape}, got {direction.shape}")

    def slope(z: Value) -> Tensor:
        pairs = zip(leaves(grad(f)(z)), directions, strict=True)
        terms: list[Tensor] = [(g * direction).sum() for g, direction in pairs]
        return reduce(operator.add, terms)

    return grad(slope)(x)


# ── How a transform works ─────────────────────────────────────────────────────────────────────────

# What f gets as a Tensor even where it is not differentiated; the rest is passed on as it is.
_NUMERIC = (np.ndarray, np.number, float)


class _Pullback:
    """The way from a cotangent of f's value back to f's arguments.

    Attributes
    ----------
    y
        The value of f; of a tree the elements of all its Tensors, one after the other.
    tree
        The value, if it is a tree, else None.
    variables
        The Tensors with respect to which to differentiate.
    arguments, argnums
        The arguments that these are the leaves of, and which of f's they are.
    differentiable_outside
        Whether someone outside can differentiate again.
    value, aux
        What f returned, without this transform's graph.
    """

    def __init__(
        self,
        found: Value,
        variables: list[Tensor],
        arguments: list[object],
        argnums: Argnums,
        differentiable_outside: bool,
        aux: object,
    ) -> None:
        self.tree = found if is_tree(found) else None
        parts = leaves(found)
        self.y: Tensor = found if self.tree is None else concatenate([t.flatten() for t in parts])
        self.variables = variables
        self.arguments = arguments
        self.argnums = argnums
        self.differentiable_outside = differentiable_outside
        self.depends_on_arguments = self.y.requires_grad
        self.value = map_leaves(self._outside, found)
        self.aux = map_leaves(self._outside, aux)

    def _outside(self, x: Value) -> Value:
        keep = self.differentiable_outside or not isinstance(x, Tensor)
        return x if keep else x.detach()

    def __call__(self, cotangent: Value) -> Value:
        if self.tree is not None:
            found = leaves_like(cotangent, self.tree, "the cotangent")
            given = [as_tensor(part) for part in found]
            for part, t in zip(given, leaves(self.tree), strict=True):
                _seed(t, part, True)  # which checks its shape
            cotangent = concatenate([part.flatten() for part in given])
        return self.pull(cotangent)

    def pull(self, cotangent: TensorLike | None) -> Value:
        """For a cotangent of y, the gradients, as the arguments have them."""
        create_graph = self.differentiable_outside or _is_differentiable(cotangent)
        seed = _seed(self.y, cotangent, create_graph)
        return self.as_arguments(self._pull(seed, (), create_graph))

    def as_arguments(self, found: Sequence[Tensor]) -> Value:
        """What belongs to the variables, in the containers of the arguments."""
        each = iter(found)
        items = [rebuild(argument, each) for argument in self.arguments]
        return tuple(items) if isinstance(self.argnums, tuple) else items[0]

    def as_value(self, flat: Tensor) -> Value:
        """What belongs to y, in the containers of the value."""
        if self.tree is None:
            return flat
        parts = leaves(self.tree)
        ends = list(accumulate(part.size for part in parts))
        pieces = [
            flat[end - part.size : end].reshape(part.shape + flat.shape[1:])
            for part, end in zip(parts, ends, strict=True)
        ]
        return rebuild(self.tree, iter(pieces))

    def by_value(self, blocks: list[Tensor]) -> Value:
        """The Jacobians of y with respect to the variables, by value and then by argument."""
        if self.tree is None:
            return self.as_arguments(blocks)
        by_variable = [leaves(self.as_value(block)) for block in blocks]
        by_part = [self.as_arguments(parts) for parts in zip(*by_variable, strict=True)]
        return rebuild(self.tree, iter(by_part))

    def batch(self, cotangents: Array) -> list[Tensor]:
        """For cotangents of shape (n, *shape of y), gradients of shape (n, *shape of x)."""
        return self._pull(constant(cotangents), cotangents.shape[:1], self.differentiable_outside)

    def _pull(self, seed: Tensor, batch: tuple[int, ...], create_graph: bool) -> list[Tensor]:
        kept: dict[Tensor, Value] = {}
        if self.depends_on_arguments:
            with enable_grad():
                kept = backpropagate(
                    self.y,
                    seed if create_graph else seed._value,
                    wanted=self.variables,
                    create_graph=create_graph,
                )
        found = [kept.get(v, np.zeros(batch + v.shape, v.dtype)) for v in self.variables]
        return [g if isinstance(g, Tensor) else constant(np.array(g)[()]) for g in found]


def _is_differentiable(x: object) -> bool:
    """Whether a gradient may be wanted of what is computed with x."""
    return isinstance(x, Tensor) and x.requires_grad and MODE.get().grad


def _trace_call(
    f: TensorFunction, argnums: Argnums, args: Arguments, kwargs: Options, has_aux: bool = False
) -> _Pullback:
    """Call f on variables of this transform, and return the pullback.

    A graph of the gradient is recorded only where someone outside can ask for it: where the value
    depends on a tensor with requires_grad that is not one of these variables.
    """
    check_callable("f", f)
    chosen = [check_integer("argnums", i) for i in _each(argnums)]
    for i in chosen:
        if not -len(args) <= i < len(args):
            raise ValueError(f"argnums: there is no argument {i}, the function got {len(args)}")
    recording_outside = MODE.get().grad
    given: list[object] = [map_leaves(_as_given, a) for a in args]
    variables: list[Tensor] = []
    for i in chosen:
        own_leaves = [_variable(leaf, i) for leaf in leaves(args[i])]
        variables += own_leaves
        given[i] = rebuild(args[i], iter(own_leaves))
    with enable_grad(), transforming():
        found, aux = f(*given, **kwargs), None
    if has_aux:
        if not isinstance(found, tuple) or len(found) != 2:
            raise TypeError(f"with has_aux=True the function must return a pair, got {found!r}")
        found, aux = found
    for part in leaves(found):
        if not isinstance(part, Tensor):
            raise TypeError(
                f"the function must return a Tensor, got {type(part).__name__}: {part!r}"
            )
    own = {id(v) for v in variables if v.primitive is None}
    differentiable_outside = active_recorder() is not None or (
        recording_outside
        and any(
            node.primitive is None and id(node) not in own
            for y in leaves(found)
            for node in topological_order(y, grad_only=True)
        )
    )
    arguments = [args[i] for i in chosen]
    return _Pullback(found, variables, arguments, argnums, differentiable_outside, aux)


def _as_given(x: object) -> object:
    return as_tensor(x) if isinstance(x, _NUMERIC) else x


def _variable(argument: TensorLike, i: int) -> Tensor:
    """A variable with the argument's value: a node of its own, even if the argument is in use."""
    if not isinstance(argument, Tensor):
        try:
            argument = Tensor(argument)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"a derivative is with respect to numbers, which argument {i} must be: {error}"
            ) from error
    if argument.requires_grad:
        return apply(p.identity, argument)
    return Tensor(argument, requires_grad=True, name=argument.name)


def _each(argnums: Argnums) -> tuple[int, ...]:
    return argnums if isinstance(argnums, tuple) else (argnums,)
