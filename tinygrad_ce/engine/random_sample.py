"""Random numbers as leaves of a graph, drawn again where the computation is repeated."""

from __future__ import annotations

import numpy as np

from ..arguments import shown
from .array_types import Arguments, Function, Value
from .context import active_recorder
from .hooks import Options
from .tensor import Tensor, constant, refusal


def sample(method: Function, *args: object, **options: object) -> Tensor:
    """Return what a method of a random generator returns; a compiled step draws at each call.

    Parameters
    ----------
    method
        Such as `rng.normal`, of a `np.random.Generator`.
    args, options
        What the method is called with: numbers, shapes, dtypes and arrays, which get no gradient.

    Returns
    -------
    Tensor
        A leaf without a gradient, of the shape and dtype that the method returns.

    Raises
    ------
    TypeError
        Another function, an argument that is or holds a Tensor, a method that returns no numbers
        or writes into an array that it is given.

    Notes
    -----
    A step that `tg.compile` has recorded calls the same methods of the same generators in the same
    order, so that it finds the numbers that it would have found without being compiled.

    >>> import tinygrad_ce as tg
    >>> rng = np.random.default_rng(0)
    >>> tg.sample(rng.integers, 0, 10, size=3)
    Tensor([8, 6, 5])
    """
    try:
        of_generator = isinstance(method.__self__, np.random.Generator)  # type: ignore[attr-defined]
    except Exception:
        of_generator = False
    if not of_generator:
        raise TypeError(
            "sample takes a method of a np.random.Generator and its arguments, such as "
            f"sample(rng.normal, size=3); got {shown(method)}"
        )
    if _holds_tensor((args, tuple(options.values()))):
        raise TypeError(
            f"an argument of {method.__name__} is a Tensor, and no gradient passes through a draw: "
            "draw standard numbers, and scale and shift them, as in "
            "loc + scale * sample(rng.standard_normal, shape)"
        )
    recorder = active_recorder()
    if recorder is not None:
        numbers = recorder.sample(method, args, options)
        if numbers is not NotImplemented:
            return numbers  # type: ignore[no-any-return]
    return constant(sample_by(method, args, options))


def _holds_tensor(x: object, depth: int = 64) -> bool:
    """Whether it is or holds one, as deep as arrays can be nested."""
    parts = x if isinstance(x, tuple | list) and depth else ()
    return isinstance(x, Tensor) or any(_holds_tensor(part, depth - 1) for part in parts)


def sample_by(method: Function, args: Arguments, options: Options) -> Value:
    """Return what a method of a generator returns, as a node holds it."""
    try:
        found = method(*args, **options)
    except Exception as error:
        raise refusal(method.__name__, (*args, *options.values()), error) from None
    array = np.asarray(found)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a Tensor holds real numbers: {method.__name__} returns {found!r}")
    if any(found is given for given in (*args, *options.values())):
        raise TypeError(f"{method.__name__} wrote into an array that it was given: leave out out=")
    return array[()]
