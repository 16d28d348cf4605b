"""Compiled losses, with every option."""

import numpy as np
import pytest
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce import functional as F

RNG = np.random.default_rng(15)


LOGITS, LABELS = RNG.normal(size=(6, 4)), np.array([0, 3, 1, 1, 2, 0])


LOGITS[0] = -np.inf, 0.0, -0.0, -1.0


SOFT = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)


WEIGHT = np.array([1.0, 0.5, 2.0, 0.0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize(
    ("target", "options"),
    [
        (LABELS, {}),
        (LABELS, {"reduction": "sum"}),
        (LABELS, {"reduction": "none"}),
        (LABELS, {"weight": WEIGHT}),
        (LABELS, {"label_smoothing": 0.1}),
        (LABELS, {"ignore_index": 1}),
        (LABELS, {"ignore_index": 0, "weight": WEIGHT, "label_smoothing": 0.2}),
        (SOFT, {}),
        (SOFT, {"weight": WEIGHT, "label_smoothing": 0.1, "check_targets": True}),
    ],
)
def test_every_option_of_cross_entropy(target, options, dtype):
    def both(z, y):
        loss = tg.vjp(lambda z: F.cross_entropy(z, y, **options), z)
        return loss[0], loss[1](np.ones(loss[0].shape))

    compiled = tg.compile(both)
    z = LOGITS.astype(dtype)
    for logits in (z, z[::-1].copy(), np.zeros_like(z)):
        assert_same_bits(compiled(logits, target), both(tg.Tensor(logits), tg.Tensor(target)))


def test_other_forms_of_cross_entropy_and_class_axes():
    def losses(z, y):
        forms = F.naive_cross_entropy, F.shifted_cross_entropy, F.margin_cross_entropy
        return [tg.value_and_grad(lambda z, f=f: f(z, y).sum())(z) for f in forms]

    z = LOGITS[1:]
    got, expected = tg.compile(losses)(z, LABELS[1:]), losses(tg.Tensor(z), LABELS[1:])
    assert_same_bits(got, expected)
    images = np.random.default_rng(16).normal(size=(2, 3, 4, 5))
    labels = np.random.default_rng(16).integers(0, 3, (2, 4, 5))

    def segmentation(z, y):
        return tg.value_and_grad(lambda z: F.cross_entropy(z, y, axis=1))(z)

    assert_same_bits(tg.compile(segmentation)(images, labels), segmentation(images, labels))


def test_a_batch_without_rows():
    f = tg.compile(lambda z, y: F.cross_entropy(z, y, reduction="sum"))
    z, y = np.zeros((0, 3)), np.zeros(0, int)
    assert_same_bits([f(z, y)], [F.cross_entropy(z, y, reduction="sum")])
