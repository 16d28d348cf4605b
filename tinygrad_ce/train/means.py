"""Mean losses of rows: what they are divided by, so that the means of parts make that of a whole.

The mean loss of a batch is the mean of those of its parts, each weighted by its `total_weight`.
That is the number of rows, unless classes have weights or rows are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import functional as F
from .. import nn
from ..engine.tensor import Tensor
from ..nn.losses import _Loss

Array: TypeAlias = NDArray[Any]
# Of logits and targets: their mean loss, or the loss of each row.
Loss: TypeAlias = Callable[[Tensor, Any], Tensor]

MEANS = (  # the functions that return a mean over rows unless they are told otherwise
    F.cross_entropy,
    F.nll_loss,
    F.mse_loss,
    F.l1_loss,
    F.huber_loss,
    F.kl_div,
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
)


def compute_mean(loss: Loss, logits: Tensor, y: Any, weight: Any) -> Tensor:
    """The mean loss, or the weighted mean of the losses of rows."""
    if weight is None:
        value = loss(logits, y)
        return value.mean() if value.ndim else value
    losses = loss(logits, y, reduction="none") if loss is F.cross_entropy else loss(logits, y)
    if losses.shape != weight.shape:
        raise ValueError(
            f"weights need the loss of each row, of shape {weight.shape}: the loss has shape "
            f"{losses.shape}; leave its rows apart, as with reduction='none'"
        )
    mean: Tensor = (losses * weight).sum() / weight.sum()
    return mean


def total_weight(loss: Loss, y: Array, weight: Array | None = None) -> float:
    """What the mean loss of rows with the targets y is divided by."""
    if weight is not None:
        return float(weight.sum())
    options = _options(loss) or {}
    of_class, ignored = options.get("weight"), options.get("ignore_index")
    is_plain = of_class is None and ignored is None
    if is_plain or y.dtype.kind == "f" or options.get("reduction", "mean") != "mean":
        return len(y)
    kept = y if ignored is None else y[y != ignored]
    return kept.size if of_class is None else float(np.asarray(of_class, np.float64)[kept].sum())


def with_known_weight(loss: Loss) -> Loss:
    """The loss, if `total_weight` knows what its mean is divided by; else it must keep rows apart.

    A function of a user's own may ignore rows, so that the mean of a part says nothing of its share
    in a whole.
    """
    options = _options(loss)
    if options is not None and options.get("reduction", "mean") != "sum":
        return loss

    def loss_of_rows(logits: Tensor, y: Any) -> Tensor:
        value = loss(logits, y)
        if not value.ndim:
            raise ValueError(
                "a batch is computed in shards, and the loss returns one number for all rows of "
                "one: let it return the loss of each row, as with reduction='none'"
            )
        return value

    return loss_of_rows


def _options(loss: Loss) -> Mapping[str, Any] | None:
    """The options of a loss of this package; None for one of a user's own."""
    if isinstance(loss, partial):
        return loss.keywords if loss.func in MEANS else None
    if isinstance(loss, _Loss | nn.KLDivLoss):
        return vars(loss)
    return {} if loss in MEANS else None
