"""Losses as layers: each holds the options of the function of its name in `functional`."""

from __future__ import annotations

from typing import Any, Literal

from .. import functional
from ..arguments import check_choice, check_flag, check_integer, check_real
from ..engine.tensor import Tensor, as_tensor
from ..functional.losses import REDUCTIONS, Reduction
from .module import Module


class _Loss(Module):
    """A function of a prediction and a target, with a reduction."""

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)

    def _keep_options(self, axis: int, ignore_index: int | None, weight: Any) -> None:
        self.axis = check_integer("axis", axis)
        if ignore_index is not None:
            ignore_index = check_integer("ignore_index", ignore_index)
        self.ignore_index, self.weight = ignore_index, _as_weight(weight)

    def extra_repr(self) -> str:
        """Return the reduction, if it is not the mean."""
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class CrossEntropyLoss(_Loss):
    """The cross-entropy of logits: see `functional.cross_entropy`, whose options these are.

    >>> import tinygrad_ce as tg
    >>> CrossEntropyLoss(label_smoothing=0.1)(tg.Tensor([[0.0, 0.0]]), [1])
    Tensor(0.69314718)
    """

    def __init__(
        self,
        *,
        axis: int = -1,
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self._keep_options(axis, ignore_index, weight)
        self.label_smoothing = check_real("label_smoothing", label_smoothing, 0, 1)

    def forward(self, logits: Any, target: Any) -> Tensor:
        """Return the loss of logits (..., C) and labels (...) or distributions (..., C)."""
        return functional.cross_entropy(
            logits,
            target,
            axis=self.axis,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
        )


class NLLLoss(_Loss):
    """-log p_t of given log-probabilities: see `functional.nll_loss`, whose options these are."""

    def __init__(
        self,
        *,
        axis: int = -1,
        weight: Any = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self._keep_options(axis, ignore_index, weight)

    def forward(self, log_probs: Any, target: Any) -> Tensor:
        """Return the loss of log-probabilities (..., C) and labels (...)."""
        return functional.nll_loss(
            log_probs,
            target,
            axis=self.axis,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class MSELoss(_Loss):
    """The squared error: see `functional.mse_loss`."""

    def forward(self, prediction: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of equal shape."""
        return functional.mse_loss(prediction, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The absolute error: see `functional.l1_loss`."""

    def forward(self, prediction: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of equal shape."""
        return functional.l1_loss(prediction, target, reduction=self.reduction)


class HuberLoss(_Loss):
    """Squared for small errors, linear for large ones: see `functional.huber_loss`."""

    def __init__(self, *, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = check_real("delta", delta, 0)

    def forward(self, prediction: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of equal shape."""
        return functional.huber_loss(prediction, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_Loss):
    """Binary cross-entropy of probabilities: see `functional.binary_cross_entropy`."""

    def __init__(self, *, weight: Any = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction=reduction)
        self.weight = _as_weight(weight)

    def forward(self, probability: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of equal shape."""
        return functional.binary_cross_entropy(
            probability, target, weight=self.weight, reduction=self.reduction
        )


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of logits: see `functional.binary_cross_entropy_with_logits`."""

    def __init__(
        self, *, weight: Any = None, pos_weight: Any = None, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.weight, self.pos_weight = _as_weight(weight), _as_weight(pos_weight)

    def forward(self, logits: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of equal shape."""
        return functional.binary_cross_entropy_with_logits(
            logits,
            target,
            weight=self.weight,
            pos_weight=self.pos_weight,
            reduction=self.reduction,
        )


class KLDivLoss(Module):
    """The Kullback-Leibler divergence: see `functional.kl_div`, whose options these are."""

    def __init__(
        self,
        *,
        reduction: Literal["mean", "sum", "none", "batchmean"] = "mean",
        log_target: bool = False,
    ) -> None:
        self.reduction = check_choice("reduction", reduction, (*REDUCTIONS, "batchmean"))
        self.log_target = check_flag("log_target", log_target)

    def forward(self, log_probs: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of equal shape."""
        return functional.kl_div(
            log_probs, target, reduction=self.reduction, log_target=self.log_target
        )

    def extra_repr(self) -> str:
        """Return the reduction."""
        return f"reduction={self.reduction!r}"


def _as_weight(weight: Any) -> Tensor | None:
    """Weights as a part of the state, or None; the functions check them."""
    return None if weight is None else as_tensor(weight)
