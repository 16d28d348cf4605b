"""What losses accept and what they refuse."""

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F

T = tg.Tensor
NAN = np.nan


@pytest.mark.parametrize(
    ("logits", "target", "options", "error", "says"),
    [
        (np.zeros((20, 3)), [0] * 12 + [7] + [0] * 7, {}, IndexError,
         "target 7 at row 12 is out of range for 3 classes: labels run from 0 to 2"),
        (np.zeros((2, 3)), [0, -1], {}, IndexError, "target -1 at row 1"),
        (np.zeros(3), 3, {}, IndexError, "target 3 is out of range"),
        (np.zeros((2, 2, 3)), [[0, 1], [4, 0]], {}, IndexError, r"target 4 at row \(1, 0\)"),
        (np.zeros((2, 3)), [0, 3], {"label_smoothing": 0.1}, IndexError, "target 3 at row 1"),
        (np.zeros((2, 3)), [-100, -1], {"ignore_index": -100}, IndexError, "target -1 at row 1"),
        (np.zeros((2, 3)), [-1, 3], {"ignore_index": -1}, IndexError, "target 3 at row 1"),
        (np.zeros((2, 3)), [0.0, 1.0], {}, TypeError, "integers from 0 to 2, got float64"),
        (np.zeros((2, 3)), [True, False], {}, TypeError, "got bool"),
        (np.zeros((2, 3)), np.eye(3)[:2].astype(bool), {}, TypeError, "got bool"),
        (np.zeros((2, 3)), np.eye(3)[:2].astype(int), {}, ValueError, r"one-hot.*astype\(float"),
        (np.zeros((2, 3)), [0, 1, 2], {}, ValueError, r"target of shape \(2,\); got \(3,\)"),
        (np.zeros((2, 3)), [[0], [1]], {}, ValueError, r"got \(2, 1\)"),
        (np.zeros((2, 3)), [[0.5], [0.5]], {}, ValueError, r"got \(2, 1\)"),
        (np.zeros((2, 3)), 0, {}, ValueError, r"got \(\)"),
        (np.zeros((2, 3)), np.zeros((1, 3)), {}, ValueError, r"got \(1, 3\)"),
        (np.zeros((2, 3, 4)), np.zeros((2, 4), int), {}, ValueError, "fits with axis=1"),
        (np.zeros((2, 3), int), [0, 1], {}, TypeError, "floating point, got int64"),
        (np.zeros((2, 3), complex), [0, 1], {}, TypeError, "got complex128"),
        (np.float64(1), 0, {}, ValueError, "class axis"),
        (np.float64(1), 1.0, {}, ValueError, "class axis"),
        (np.zeros((2, 0)), [0, 0], {}, IndexError, "0 classes"),
        (np.zeros((2, 0)), np.zeros((2, 0)), {}, ValueError, "no class"),
        (np.zeros((0, 0)), [], {"label_smoothing": 0.1}, ValueError, "no class"),
        (np.zeros((2, 3)), [0, 1], {"reduction": "avg"}, ValueError, "mean, sum, none"),
        (np.zeros((2, 3)), [0, 1], {"reduction": None}, ValueError, "mean, sum, none"),
        (np.zeros((2, 3)), [0, 1], {"axis": 2}, ValueError, "axis 2"),
        (np.zeros((2, 3)), [0, 1], {"axis": -3}, ValueError, "axis -3"),
        (np.zeros((2, 3)), [0, 1], {"label_smoothing": 1.5}, ValueError, "between 0 and 1"),
        (np.zeros((2, 3)), [0, 1], {"label_smoothing": -0.1}, ValueError, "between 0 and 1"),
        (np.zeros((2, 3)), [0, 1], {"label_smoothing": NAN}, ValueError, "between 0 and 1"),
        (np.zeros((2, 3)), [0, 1], {"label_smoothing": "0.1"}, TypeError, "number"),
        (np.zeros((2, 3)), [0, 1], {"weight": [1.0, 2.0]}, ValueError, r"\(3,\), got shape \(2,"),
        (np.zeros((2, 3)), [0, 1], {"weight": 1.0}, ValueError, r"\(3,\), got shape \(\)"),
        (np.zeros((2, 3)), [0, 1], {"weight": np.eye(3)}, ValueError, r"got shape \(3, 3\)"),
        (np.zeros((2, 3)), [0, 1], {"weight": np.arange(3)}, TypeError, "weights.*got int64"),
        (np.zeros((2, 3)), np.ones((2, 3)), {"ignore_index": 0}, ValueError, "for labels"),
        (np.zeros((2, 3)), [0, 1], {"ignore_index": 1.0}, TypeError, "ignore_index"),
        (np.zeros((2, 3)), [0, 1], {"ignore_index": True}, TypeError, "ignore_index"),
        (np.zeros((2, 2)), [[0.5, 0.5], [0.5, 0.4]], {"check_targets": True}, ValueError,
         "row 1 is no distribution.*sum 0.9"),
        (np.zeros((2, 2)), [[0.5, 0.5], [-0.5, 1.5]], {"check_targets": True}, ValueError,
         "row 1 is no distribution.*smallest element is -0.5"),
        (np.zeros(2), [NAN, 0.5], {"check_targets": True}, ValueError, "target is no distri"),
    ],
)  # fmt: skip
def test_wrong_use_is_refused_with_the_row_and_the_value(logits, target, options, error, says):
    with pytest.raises(error, match=says):
        F.cross_entropy(logits, target, **options)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_distributions_are_those_up_to_rounding(dtype):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(50, 100)).astype(dtype)
    rows = F.softmax(z)
    assert F.cross_entropy(z, rows, check_targets=True).item() > 0
    assert F.cross_entropy(z, rng.integers(0, 100, 50), check_targets=True).item() > 0


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64, ">i4", ">u2"])
def test_labels_of_any_integer_dtype(dtype):
    z = np.zeros((2, 3))
    loss = F.cross_entropy(z, np.array([0, 2], dtype))
    assert loss.item() == pytest.approx(np.log(3))
    ignored = F.cross_entropy(z, np.array([0, 100], dtype), ignore_index=100, reduction="none")
    np.testing.assert_allclose(ignored.data, [np.log(3), 0])
    with pytest.raises(IndexError, match="target 127 at row 1"):
        F.cross_entropy(z, np.array([0, 127], dtype))


def test_labels_can_be_a_tensor_and_change_afterwards():
    labels = np.array([0, 1])
    z = T(np.zeros((2, 2)), requires_grad=True)
    loss = F.cross_entropy(z, labels)
    labels[:] = 0
    loss.backward()
    assert z.grad.tolist() == [[-0.25, 0.25], [0.25, -0.25]]
    assert F.cross_entropy(z, T([0, 1], dtype=int)).item() == loss.item()
