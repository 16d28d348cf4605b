"""Cross-entropy: against the definition, and where logits are extreme."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_ce as tg
from tinygrad_ce import closed_form
from tinygrad_ce import functional as F
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.functional.losses import REDUCTIONS

T = tg.Tensor
INF, NAN = np.inf, np.nan


def loss_and_gradient(logits, target, **options):
    z = T(logits, requires_grad=True)
    loss = F.cross_entropy(z, target, **options)
    loss.sum().backward()
    return loss.data, z.grad


def definition(z, y, weight, ignore_index, epsilon, reduction):
    """-Σ w_c y_c log p_c, row by row, in extended precision; classes last."""
    z = np.asarray(z, np.longdouble)
    n_classes = z.shape[-1]
    w = np.ones(n_classes) if weight is None else np.asarray(weight)
    losses, counts = [], []
    for row in np.ndindex(z.shape[:-1]):
        p = np.exp(z[row] - z[row].max())
        log_p = np.log(p / p.sum())
        distribution = y[row] if y.dtype.kind == "f" else np.eye(n_classes)[y[row] % n_classes]
        kept = y.dtype.kind == "f" or y[row] != ignore_index
        q = w * ((1 - epsilon) * distribution + epsilon / n_classes)
        losses.append(-(q * log_p).sum() if kept else 0)
        counts.append((1 if y.dtype.kind == "f" else w[y[row]]) if kept else 0)
    if reduction == "none":
        return np.reshape(losses, z.shape[:-1])
    if reduction == "mean":
        return np.sum(losses) / np.sum(counts) if np.any(counts) else NAN
    return np.sum(losses)


def test_nobody_put_softmax_minus_one_hot_in():
    z = T([2.0, 1.0, 0.1], requires_grad=True)
    loss = z.exp().sum().log() - z[0]
    loss.backward()
    p = np.exp(z.data) / np.exp(z.data).sum()
    np.testing.assert_allclose(z.grad, p - [1, 0, 0], atol=2e-16)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_is_within_4_ulps_of_the_closed_form_on_ten_thousand_sets(dtype):
    rng = np.random.default_rng(0)
    worst = 0.0
    for n_classes in (1, 2, 10, 1000):
        for i in range(2500):
            reduction = ("sum", "mean")[i % 2]
            scale = 10 ** rng.uniform(-3, 4)
            z = (scale * rng.standard_normal((2, n_classes))).astype(dtype)
            t = rng.integers(0, n_classes, 2)
            _, g = loss_and_gradient(z, t, reduction=reduction)
            share = 2 if reduction == "mean" else 1
            expected = closed_form.cross_entropy_grad(z, t, reduction)
            # Where p_t is almost 1, all that is left of p_t - 1 is its rounding, that of 1.
            p_t = closed_form.softmax(z)[[0, 1], t]
            unit = np.spacing(np.maximum(p_t, 1 - p_t) / share)[:, None]
            off = np.abs(g - expected) / unit
            worst = max(worst, off.max())
    assert worst <= 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_is_accurate_to_two_epsilons(dtype):
    rng = np.random.default_rng(0)
    for _ in range(500):
        scale = 10 ** rng.uniform(-3, 4)
        z = (scale * rng.standard_normal((2, 10))).astype(dtype)
        t = rng.integers(0, 10, 2)
        _, g = loss_and_gradient(z, t, reduction="sum")
        e = np.exp(z.astype(np.longdouble) - z.max(-1, keepdims=True))
        exact = e / e.sum(-1, keepdims=True) - np.eye(10)[t]
        np.testing.assert_allclose(g, exact, rtol=0, atol=2 * np.finfo(dtype).eps)


shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5)
floats = st.floats(-1e4, 1e4, width=16)


@settings(max_examples=200)
@given(
    hnp.arrays(st.sampled_from([np.float32, np.float64]), shapes, elements=floats),
    st.sampled_from(REDUCTIONS),
    st.data(),
)
def test_any_shape_dtype_and_reduction_agrees_with_the_closed_form(z, reduction, data):
    classes = z.shape[-1]
    t = data.draw(hnp.arrays(np.int64, z.shape[:-1], elements=st.integers(0, classes - 1)))
    loss, g = loss_and_gradient(z, t, reduction=reduction)
    expected = closed_form.cross_entropy(z, t, reduction)
    eps = np.finfo(z.dtype).eps
    assert (loss.dtype, g.dtype) == (z.dtype, z.dtype)
    assert loss.shape == (z.shape[:-1] if reduction == "none" else ())
    np.testing.assert_allclose(loss, expected, rtol=8 * eps, atol=0)
    np.testing.assert_allclose(
        g, closed_form.cross_entropy_grad(z, t, reduction), rtol=0, atol=4 * eps
    )


OPTIONS = [
    {"weight": w, "ignore_index": i, "label_smoothing": e, "reduction": r}
    for w, i, e, r in itertools.product(
        (None, [0.5, 2.0, 1.0, 0.25]), (None, -100, 2), (0.0, 0.1, 1.0), REDUCTIONS
    )
]


def some_target(kind, rows, ignore_index, rng):
    if kind == "distributions":
        return rng.random((*rows, 4))  # not normalized: they need not be
    t = rng.integers(0, 4, rows)
    if ignore_index is not None:
        t.flat[::2] = ignore_index
    return t


def combinations(kind):
    """The options that go with labels, or with distributions."""
    return [o for o in OPTIONS if kind == "labels" or o["ignore_index"] is None]


@pytest.mark.parametrize("kind", ["labels", "distributions"])
def test_every_combination_of_options_is_the_definition(kind):
    rng = np.random.default_rng(0)
    for rows, options in itertools.product([(3,), (2, 3)], combinations(kind)):
        z = 3 * rng.normal(size=(*rows, 4))
        y = some_target(kind, rows, options["ignore_index"], rng)
        loss, g = loss_and_gradient(z, y, **options)
        expected = definition(
            z, y, options["weight"], options["ignore_index"],
            options["label_smoothing"], options["reduction"],
        )  # fmt: skip
        np.testing.assert_allclose(loss, np.asarray(expected, float), rtol=1e-14)
        np.testing.assert_allclose(closed_form.cross_entropy(z, y, **options), loss, rtol=1e-14)
        np.testing.assert_allclose(
            g, closed_form.cross_entropy_grad(z, y, **options), rtol=4e-16, atol=4e-16
        )


@pytest.mark.parametrize("kind", ["labels", "distributions"])
def test_every_combination_of_options_to_second_order(kind):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3, 4))
    for options in combinations(kind):
        y = some_target(kind, (3,), options["ignore_index"], rng)
        assert tg.gradcheck(lambda z, o=options, y=y: F.cross_entropy(z, y, **o), z, order=2)


def test_distributions_and_weights_get_gradients_too():
    rng = np.random.default_rng(0)
    z, w = rng.normal(size=(3, 4)), rng.uniform(0.5, 2, 4)
    y = np.array([[0.0, 1, 0, 0], [0.25] * 4, [0.5, 0, 0.5, 0]])

    def of_distributions(z, y, w):
        return F.cross_entropy(z, y, weight=w, label_smoothing=0.1)

    def of_labels(z, w):
        return F.cross_entropy(z, [0, 3, -1], weight=w, ignore_index=-1, label_smoothing=0.1)

    assert tg.gradcheck(of_distributions, z, y, w, order=2)
    assert tg.gradcheck(F.cross_entropy, z, y, order=2)
    assert tg.gradcheck(of_labels, z, w, order=2)


def test_derivatives_by_the_complex_step_in_which_nothing_is_lost():
    z, t = np.random.default_rng(0).normal(size=(3, 4)), [0, 3, 1]
    for f in (F.cross_entropy, *FORMS):
        assert tg.gradcheck(lambda z, f=f: f(z, t), z, method="complex", rtol=1e-14)


@pytest.mark.slow
def test_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for dtype, kind in itertools.product((np.float32, np.float64), ("labels", "distributions")):
        for rows, options in itertools.product([(7,), (), (3, 5)], combinations(kind)):
            z = (3 * rng.normal(size=(*rows, 4))).astype(dtype)
            y = some_target(kind, rows, options["ignore_index"], rng)
            y = y.astype(dtype) if kind == "distributions" else y
            w = None if options["weight"] is None else np.array(options["weight"], dtype)
            loss, g = loss_and_gradient(z, y, **{**options, "weight": w})
            # There the classes are on the second axis.
            second = (lambda x: np.moveaxis(x, -1, 1)) if len(rows) > 1 else np.asarray
            theirs = torch.tensor(second(z), requires_grad=True)
            expected = torch.nn.functional.cross_entropy(
                theirs,
                torch.tensor(second(y) if kind == "distributions" else y),
                **{
                    **options,
                    "weight": None if w is None else torch.tensor(w),
                    "ignore_index": options["ignore_index"] or -100,
                },
            )
            expected.sum().backward()
            eps = np.finfo(dtype).eps
            assert loss.dtype == dtype
            np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=8 * eps)
            np.testing.assert_allclose(second(g), theirs.grad.numpy(), rtol=0, atol=8 * eps)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_the_class_axis_can_be_any(axis):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 3, 4))
    classes = z.shape[axis]
    last = np.moveaxis(z, axis, -1)
    for t in (rng.integers(0, classes, last.shape[:-1]), rng.random(z.shape)):
        t_last = np.moveaxis(t, axis, -1) if t.ndim == 3 else t
        loss, g = loss_and_gradient(z, t, axis=axis, reduction="none")
        expected, g_last = loss_and_gradient(last, t_last, reduction="none")
        np.testing.assert_array_equal(loss, expected)
        np.testing.assert_array_equal(g, np.moveaxis(g_last, -1, axis))


# ── Extreme inputs ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("logits", "target", "loss", "gradient"),
    [
        ([1e4, -1e4], 0, 0, [0, 0]),
        ([1e4, -1e4], 1, 20000, [1, -1]),
        ([-INF, 0.0, 0.0], 1, np.log(2), [0, -0.5, 0.5]),
        ([-INF, 0.0], 0, INF, [-1, 1]),
        ([3.0], 0, 0, [0]),
        ([0.0, 1e308], 1, 0, [0, 0]),
        ([-INF, 0.0, 0.0], [0.0, 0.5, 0.5], np.log(2), [0, 0, 0]),
        ([-INF, 0.0, 0.0], [0.0, 1.0, 0.0], np.log(2), [0, -0.5, 0.5]),
        ([-INF, 0.0], [0.5, 0.5], INF, [-0.5, 0.5]),
        ([3.0], [1.0], 0, [0]),
        ([1e4, -1e4], [0.5, 0.5], 10000, [0.5, -0.5]),
        ([1e4, -1e4], [0.0, 0.0], 0, [0, 0]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_extreme_logits(logits, target, loss, gradient, dtype):
    logits = [z if z != 1e308 else float(np.finfo(dtype).max) for z in logits]
    target = np.array(target, dtype) if isinstance(target, list) else target
    got, g = loss_and_gradient(np.array(logits, dtype), target)
    assert got == dtype(loss)
    np.testing.assert_array_equal(g, np.array(gradient, dtype))
    assert (got.dtype, g.dtype) == (dtype, dtype)


def test_a_class_that_counts_0_may_be_impossible():
    z = np.array([[-INF, 0.0, 0.0], [0.0, 0.0, -INF]])
    for options in ({}, {"label_smoothing": 0.5}, {"label_smoothing": 1.0}):
        loss, g = loss_and_gradient(z, [0, 2], weight=[0.0, 1.0, 0.0], reduction="none", **options)
        expected = options.get("label_smoothing", 0) / 3 * np.log(2)
        np.testing.assert_allclose(loss, [expected, expected])
        assert np.isfinite(g).all()


def test_smoothing_towards_an_impossible_class_costs_infinitely_much():
    for epsilon in (0.1, 1.0):
        loss, g = loss_and_gradient([-INF, 0.0], 0, label_smoothing=epsilon)
        assert loss == INF
        np.testing.assert_allclose(g, [-1 + epsilon / 2, 1 - epsilon / 2])


@pytest.mark.parametrize(("reduction", "loss"), [("mean", NAN), ("sum", 0.0), ("none", [])])
@pytest.mark.parametrize(
    "options",
    [{}, {"weight": [1.0, 2.0, 3.0]}, {"ignore_index": -1}, {"label_smoothing": 0.1}],
    ids=["plain", "weight", "ignore", "smooth"],
)
def test_an_empty_batch(reduction, loss, options):
    for target in (np.zeros(0, int), [], np.zeros((0, 3))):
        if np.ndim(target) == 2 and "ignore_index" in options:
            continue
        got, g = loss_and_gradient(np.zeros((0, 3)), target, reduction=reduction, **options)
        np.testing.assert_array_equal(got, loss)
        assert g.shape == (0, 3)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "options", [{}, {"weight": [0.5, 2.0]}, {"label_smoothing": 0.1}], ids=["", "weight", "smooth"]
)
@pytest.mark.parametrize("held", [NAN, INF, -INF])
def test_an_ignored_row_may_hold_anything(reduction, options, held):
    z = np.array([[1.0, 2.0], [held, 0.0], [held, held]])
    loss, g = loss_and_gradient(z, [0, 1, 1], ignore_index=1, reduction=reduction, **options)
    alone, g_alone = loss_and_gradient(z[:1], [0], reduction=reduction, **options)
    np.testing.assert_array_equal(loss, [alone[0], 0, 0] if reduction == "none" else alone)
    np.testing.assert_array_equal(g, [g_alone[0], [0, 0], [0, 0]])


def test_the_mean_of_rows_that_are_all_ignored_is_nan_and_moves_nothing():
    for options in ({}, {"weight": [1.0, 2.0]}, {"label_smoothing": 0.1}):
        z = np.array([[1.0, 2.0], [NAN, 0.0]])
        loss, g = loss_and_gradient(z, [-100, -100], ignore_index=-100, **options)
        assert np.isnan(loss)
        assert not g.any()
        loss, g = loss_and_gradient(z, [-100, -100], ignore_index=-100, reduction="sum", **options)
        assert loss == 0
        assert not g.any()


def test_means_are_weighted_over_labels_but_not_over_distributions():
    z, w = np.zeros((2, 3)), np.array([1.0, 3.0, 0.5])
    each = np.log(3)
    labels = np.array([0, 1])
    assert F.cross_entropy(z, labels, weight=w).item() == pytest.approx(each)
    assert F.cross_entropy(z, labels, weight=w, reduction="sum").item() == pytest.approx(4 * each)
    rows = F.one_hot(labels, 3)
    assert F.cross_entropy(z, rows, weight=w).item() == pytest.approx(4 * each / 2)


def test_what_is_computed_does_not_depend_on_the_values_of_the_logits():
    y, w = np.array([0, 1, -1]), [1.0, 2.0, 3.0]
    options = {"weight": w, "ignore_index": -1, "label_smoothing": 0.1}

    def primitives(z, f):
        made = [node.primitive for node in topological_order(f(T(z, requires_grad=True)))]
        return [primitive.name for primitive in made if primitive is not None]

    extreme = np.array([[-INF, 0.0, 1e4], [NAN, NAN, NAN], [-1e4, -INF, -INF]])
    for f in (
        lambda z: F.cross_entropy(z, y, **options),
        lambda z: F.cross_entropy(z, abs(y)),
        lambda z: F.cross_entropy(z, np.eye(3)),
        lambda z: F.margin_cross_entropy(z, abs(y)),
        lambda z: F.naive_cross_entropy(z, abs(y)),
    ):
        with np.errstate(invalid="ignore"):
            assert primitives(extreme, f) == primitives(np.zeros((3, 3)), f)


# ── dtypes ────────────────────────────────────────────────────────────────────────────────────────

FLOATS = (np.float16, np.float32, np.float64)


@pytest.mark.parametrize(("logits", "target", "weight"), [*itertools.product(FLOATS, repeat=3)])
def test_dtypes_are_promoted_as_numpy_does(logits, target, weight):
    z = T(np.array([[1.0, 2.0]], logits), requires_grad=True)
    y, w = np.array([[0.25, 0.75]], target), np.array([1.0, 2.0], weight)
    for loss, promoted in (
        (F.cross_entropy(z, y), np.result_type(logits, target)),
        (F.cross_entropy(z, [0], weight=w), np.result_type(logits, weight)),
        (F.cross_entropy(z, y, weight=w), np.result_type(logits, target, weight)),
        (F.cross_entropy(z, [0], label_smoothing=0.1, ignore_index=3), np.dtype(logits)),
    ):
        assert loss.dtype == promoted
        z.grad = None
        loss.backward()
        assert z.grad.dtype == logits
    exact = -0.25 * math.log(1 / (1 + math.e)) - 0.75 * math.log(math.e / (1 + math.e))
    eps = float(np.finfo(np.result_type(logits, target)).eps)
    assert F.cross_entropy(z, y).item() == pytest.approx(exact, rel=eps)


def test_float16_does_not_overflow_inside():
    z = np.zeros((70_000, 2), np.float16)
    z[:, 0] = 20
    t = np.ones(len(z), int)
    loss, g = loss_and_gradient(z, t)
    assert loss == 20
    assert F.cross_entropy(z, t, weight=np.float16([10, 10])).item() == 20
    assert F.cross_entropy(z, t, ignore_index=0).item() == 20
    # A sum of exp beyond the largest float16, which is 65504.
    assert F.cross_entropy(np.zeros(70_000, np.float16), 0).item() == np.float16(np.log(70_000))
    assert (loss.dtype, g.dtype) == (np.float16, np.float16)


# ── Three ways to write it ────────────────────────────────────────────────────────────────────────

FORMS = (F.naive_cross_entropy, F.shifted_cross_entropy, F.margin_cross_entropy)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_agrees_with_the_others_where_nothing_is_extreme(form):
    rng = np.random.default_rng(0)
    for rows in ((), (3,), (2, 3)):
        z, t = rng.normal(size=(*rows, 4)), rng.integers(0, 4, rows)
        x = T(z, requires_grad=True)
        losses = form(x, t)
        losses.sum().backward()
        expected, g = loss_and_gradient(z, t, reduction="none")
        np.testing.assert_allclose(losses.data, expected, rtol=1e-14)
        np.testing.assert_allclose(x.grad, g, rtol=0, atol=1e-15)
        assert tg.gradcheck(lambda z, t=t: form(z, t), z, order=2)
    assert losses.scope.path == form.__name__


def exact_loss_and_gradient(z, t):
    """In 50 digits, of logits that are floating point numbers as they are."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(50):
        terms = [mp.exp(mp.mpf(float(v)) - mp.mpf(float(z[t]))) for v in z]
        others = mp.fsum(e for j, e in enumerate(terms) if j != t)
        p = [e / (1 + others) for e in terms]
        p[t] = -others / (1 + others)
        return mp.log1p(others), p


def relative_errors(f, z, t):
    """Of the loss and of the gradient at the label."""
    z = T(z, requires_grad=True)
    with np.errstate(all="ignore"):
        loss = f(z, t)
        loss.backward()
    exact, p = exact_loss_and_gradient(z.data, t)
    pairs = ((loss.item(), exact), (float(z.grad[t]), p[t]))
    return [float(abs(got - e) / abs(e)) if np.isfinite(got) else got for got, e in pairs]


def logits_with_gap(gap, dtype, rng):
    """The first class is ahead of the second by the gap, about, and of the third by more."""
    return (np.array([gap, 0.0, -0.5]) + rng.normal() / 8).astype(dtype)


# dtype, the gap from which 1 + exp(-gap) rounds to 1, from which exp(-gap) is subnormal, and from
# which it is 0.
GAPS = [(np.float64, 37, 708, 746), (np.float32, 17, 87, 104)]
MARGIN_ULPS = {np.float64: 3, np.float32: 8}


@pytest.mark.parametrize(("dtype", "swallowed", "subnormal", "underflow"), GAPS)
def test_errors_of_the_forms_when_the_model_is_confident_and_right(
    dtype, swallowed, subnormal, underflow
):
    rng = np.random.default_rng(0)
    eps = float(np.finfo(dtype).eps)
    for gap in range(min(subnormal, 700)):
        z = logits_with_gap(gap, dtype, rng)
        assert max(relative_errors(F.margin_cross_entropy, z, 0)) <= MARGIN_ULPS[dtype] * eps
        for form in (F.naive_cross_entropy, F.shifted_cross_entropy):
            errors = relative_errors(form, z, 0)
            if gap > swallowed:
                assert errors == [1, 1]  # both are 0
            else:
                assert max(errors) <= 4 * eps * math.exp(gap)


@pytest.mark.parametrize(("dtype", "swallowed", "subnormal", "underflow"), GAPS)
def test_errors_of_the_forms_when_the_model_is_confident_and_wrong(
    dtype, swallowed, subnormal, underflow
):
    rng = np.random.default_rng(0)
    eps = float(np.finfo(dtype).eps)
    for gap in (*range(0, 100, 3), *range(100, 1001, 50)):
        z = logits_with_gap(gap, dtype, rng)
        for form in (F.shifted_cross_entropy, F.margin_cross_entropy):
            assert max(relative_errors(form, z, 2)) <= 4 * eps
        naive = relative_errors(F.naive_cross_entropy, z, 2)
        if gap < subnormal - 1:
            assert max(naive) <= 4 * eps
        elif gap > underflow:
            assert naive[0] == INF
            assert np.isnan(naive[1])


def margin_ulps(z, t):
    """The largest errors of losses and gradients of a batch, in epsilons of the exact numbers."""
    x = T(z, requires_grad=True)
    losses = F.margin_cross_entropy(x, t)
    losses.sum().backward()
    eps, smallest = float(np.finfo(z.dtype).eps), 2 * float(np.finfo(z.dtype).tiny)
    worst = 0.0
    for row, label, loss, g in zip(z, t, losses.data, x.grad, strict=True):
        exact, p = exact_loss_and_gradient(row, label)
        for got, e in zip((loss, *g), (exact, *p), strict=True):
            if abs(e) > smallest:
                worst = max(worst, float(abs(float(got) - e) / abs(e)) / eps)
            else:
                assert abs(got) <= 2 * smallest
    return worst


@pytest.mark.parametrize(("dtype", "farthest"), [(np.float64, 700), (np.float32, 85)])
def test_the_margin_is_right_to_its_digits_at_every_gap_in_batches_of_both_kinds(dtype, farthest):
    rng = np.random.default_rng(1)
    for gap in [*np.linspace(-farthest, farthest, 71), *rng.uniform(-30, 30, 50)]:
        n_classes = int(rng.integers(2, 9))
        z = 10.0 ** rng.integers(-1, 2) * rng.normal(size=(4, n_classes))
        t = rng.integers(n_classes, size=4)
        z[range(4), t] += gap * np.array([1, -1, 1, 0])
        assert margin_ulps(z.astype(dtype), t) <= MARGIN_ULPS[dtype]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_margin_is_right_at_ties_with_many_classes_and_where_others_are_impossible(dtype):
    rng = np.random.default_rng(2)
    many = rng.normal(size=(2, 500)) * 5
    many[0, 7] = 60
    for z, t in (
        ([[0.0, 0.3, -690.0]], [2]) if dtype is np.float64 else ([[0.0, 0.3, -80.0]], [2]),
        ([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [0, 2, 1]),
        ([[0.1, -INF, 0.7], [30.3, -INF, 0.1], [0.1, -INF, -INF]], [0, 0, 0]),
        (many, [7, 8]),
    ):
        assert margin_ulps(np.array(z, dtype), np.array(t)) <= MARGIN_ULPS[dtype]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_compiled_margin_has_the_bits_of_the_margin(dtype):
    rng = np.random.default_rng(3)
    derivative = tg.compile(tg.value_and_grad(lambda z, t: F.margin_cross_entropy(z, t).sum()))
    for _ in range(4):
        z, t = (20 * rng.normal(size=(6, 5))).astype(dtype), rng.integers(5, size=6)
        x = T(z, requires_grad=True)
        loss = F.margin_cross_entropy(x, t).sum()
        loss.backward()
        value, gradient = derivative(z, t)
        assert value.item() == loss.item()
        np.testing.assert_array_equal(gradient.data, x.grad)


def test_all_forms_compute_halves_in_float32():
    z = np.zeros((2, 60_000), np.float16)
    for form in FORMS:
        x = T(z, requires_grad=True)
        losses = form(x, [0, 1])
        losses.sum().backward()
        assert losses.dtype == x.grad.dtype == np.float16
        np.testing.assert_allclose(losses.data, np.log(60_000), rtol=1e-3)
        np.testing.assert_allclose(x.grad[0, :2], [-1, 1 / 60_000], rtol=0.01)
    half = F.calculate_cross_entropy(np.float16([1, 0]), np.float16([0, 1]))
    assert (half.item(), half.dtype) == (np.float16(-math.log(1e-15)), np.float16)


def test_the_margin_keeps_what_the_textbook_loses():
    z = T([40.0, 0.0], requires_grad=True)
    loss = F.margin_cross_entropy(z, 0)
    loss.backward()
    assert loss.item() == pytest.approx(4.248354255291589e-18, rel=1e-15)
    np.testing.assert_allclose(z.grad, [-4.248354255291589e-18, 4.248354255291589e-18], rtol=1e-15)
    assert loss_and_gradient([40.0, 0.0], 0)[0] == 0
    assert not closed_form.cross_entropy_grad([40.0, 0.0], 0)[0]


@pytest.mark.parametrize("form", FORMS)
def test_the_forms_refuse_what_cross_entropy_refuses_and_distributions(form):
    for logits, target, error, says in (
        (np.zeros((2, 3)), [0, 3], IndexError, "target 3 at row 1"),
        (np.zeros((2, 3)), [0], ValueError, r"target of shape \(2,\); got \(1,\)"),
        (np.zeros(3, int), 0, TypeError, "floating point"),
        (np.zeros(3), [1.0, 0.0, 0.0], TypeError, "labels are integers"),
    ):
        with pytest.raises(error, match=says):
            form(logits, target)


def test_cross_entropy_opens_a_scope_of_its_name():
    assert F.cross_entropy(T([1.0, 2.0]), 0).scope.path == "cross_entropy"


# ── calculate_cross_entropy, as in the article ────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("label", "p", "loss"), [(0, 0.57, 0.5621), (1, 0.58, 0.5447), (2, 0.52, 0.6539)]
)
def test_three_flowers(label, p, loss):
    predicted = np.full(3, (1 - p) / 2)
    predicted[label] = p
    assert F.calculate_cross_entropy(np.eye(3)[label], predicted).item() == pytest.approx(
        loss, abs=5e-5
    )


def test_the_asymmetry_is_that_of_one_term_of_two():
    one = [F.calculate_cross_entropy(y, y).item() for y in (0.2, 0.8)]
    assert one == pytest.approx([0.3218875824868201, 0.17851484105136778])
    both = [F.calculate_cross_entropy(y, y).item() for y in ([0.2, 0.8], [0.8, 0.2])]
    assert both == pytest.approx([0.5004024235381879] * 2)


def test_confident_and_wrong_is_punished_hard():
    p = np.linspace(0.001, 1, 1000)
    losses = [F.calculate_cross_entropy([1.0, 0.0], [v, 1 - v]).item() for v in p]
    np.testing.assert_allclose(losses, -np.log(p), rtol=1e-12, atol=2e-15)
    assert (np.diff(losses) < 0).all()
    assert losses[0] - losses[1] > 0.69 > 0.002 > losses[-2] - losses[-1]


def test_its_minimum_is_the_entropy_and_its_arguments_do_not_commute():
    y = np.array([0.2, 0.5, 0.3])
    entropy = -(y * np.log(y)).sum()
    assert F.calculate_cross_entropy(y, y).item() == pytest.approx(entropy)
    for y_hat in np.random.default_rng(0).dirichlet(np.ones(3), 100):
        assert F.calculate_cross_entropy(y, y_hat).item() > entropy
        there = F.calculate_cross_entropy(y_hat, y).item()
        assert F.calculate_cross_entropy(y, y_hat).item() != pytest.approx(there)


def test_its_gradient_is_minus_y_over_y_hat():
    y, y_hat = np.array([[0.0, 1.0], [0.25, 0.75]]), np.array([[0.5, 0.5], [0.1, 0.9]])
    prediction = T(y_hat, requires_grad=True)
    F.calculate_cross_entropy(y, prediction).backward()
    np.testing.assert_allclose(prediction.grad, -y / y_hat)
    assert tg.gradcheck(F.calculate_cross_entropy, y, y_hat, order=2)


def test_its_clamp():
    assert F.calculate_cross_entropy([1.0], [0.0]).item() == -math.log(1e-15)
    assert F.calculate_cross_entropy([1.0], [1.0]).item() == -math.log(1 - 1e-15) > 0
    assert F.calculate_cross_entropy(np.float32([1]), np.float32([1])).item() == 0
    wrong = T([0.0], requires_grad=True)
    F.calculate_cross_entropy([1.0], wrong).backward()
    assert wrong.grad == 0  # where it should be largest


def test_it_refuses_unequal_shapes():
    for y_true in ([0.0, 1.0, 0.0], [[0.0, 1.0]], 1.0):
        with pytest.raises(ValueError, match=r"same shape, got .* and \(2,\)"):
            F.calculate_cross_entropy(y_true, [0.5, 0.5])
