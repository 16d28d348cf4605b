"""Clipping of gradients, between backward() and step()."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Any

import numpy as np

from ..arguments import LARGEST, check_iterable, check_kind, check_real
from ..engine.commit import commit
from ..engine.context import active_recorder, no_grad
from ..engine.linear_algebra import norm
from ..engine.operations import minimum, stack
from ..engine.tensor import Tensor, constant


def clip_grad_norm_(
    params: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0
) -> Tensor:
    """Scale gradients so that the norm of all of them together is at most max_norm.

    They are multiplied by min(1, max_norm / (n + 1e-6)), with their norm n, as in PyTorch. Works
    in a compiled step too.

    Parameters
    ----------
    params
        Parameters; those without a gradient are left out.
    max_norm
        At least 0.
    norm_type
        p of the p-norm; np.inf for the largest magnitude.

    Returns
    -------
    Tensor
        The norm as it was before, 0-d; 0 without any gradient.

    Raises
    ------
    ValueError, TypeError
        A negative max_norm, or a norm_type that is not above 0.

    References
    ----------
    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013.

    >>> import tinygrad_ce as tg
    >>> p = tg.Tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = [3.0, 4.0]
    >>> clip_grad_norm_([p], 1.0)
    Tensor(5.)
    >>> p.grad.round(3)
    array([0.6, 0.8])
    """
    max_norm = check_real("max_norm", max_norm, 0)
    if not check_real("norm_type", norm_type, 0, np.inf):
        raise ValueError("norm_type is above 0, got 0")
    with no_grad():
        found = _gradients(params)
        if not found:
            return constant(np.float64(0.0))
        wide = [g.astype(np.float32) if g.dtype.itemsize < 4 else g for g in found.values()]
        norms = [norm(g.reshape(-1), norm_type) for g in wide]
        dtype = np.result_type(*(n.dtype for n in norms))
        total = norm(stack([n.astype(dtype) for n in norms]), norm_type)
        factor = minimum(max_norm / (total + 1e-6), 1.0)
        _assign(found, [(g * factor).astype(p.dtype) for p, g in found.items()])
        return total


def clip_grad_value_(params: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit each element of the gradients to [-clip_value, clip_value].

    Parameters
    ----------
    params
        Parameters; those without a gradient are left out.
    clip_value
        At least 0.

    Raises
    ------
    ValueError, TypeError
        A negative clip_value.

    >>> import tinygrad_ce as tg
    >>> p = tg.Tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = [0.5, -4.0]
    >>> clip_grad_value_([p], 1.0)
    >>> p.grad
    array([ 0.5, -1. ])
    """
    clip_value = check_real("clip_value", clip_value, 0, LARGEST)
    with no_grad():
        found = _gradients(params)
        _assign(found, [g.clip(-clip_value, clip_value) for g in found.values()])


def _gradients(params: Tensor | Iterable[Tensor]) -> dict[Tensor, Tensor]:
    """The gradients that there are, as Tensors: the same operations run in a compiled step."""
    found: dict[Tensor, Tensor] = {}
    several = [params] if isinstance(params, Tensor) else check_iterable("parameters", params)
    for parameter in several:
        g: Any = check_kind("a parameter", parameter, Tensor).grad
        if g is not None:
            found[parameter] = Tensor(g) if isinstance(g, Tensor) else constant(g[()])
    return found


def _assign(found: dict[Tensor, Tensor], gradients: list[Tensor]) -> None:
    """Assign gradients, all at once."""
    if active_recorder() is None:
        commit(map(setattr, found, repeat("_grad"), [g._value for g in gradients]))
        return
    for parameter, gradient in zip(found, gradients, strict=True):
        parameter.grad = gradient
