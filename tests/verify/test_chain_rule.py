import numpy as np
import pytest

from tinygrad_ce import closed_form, nn
from tinygrad_ce.engine import primitives
from tinygrad_ce.verify.chain_rule import (
    check_cross_entropy,
    check_network,
    check_random_logits,
)

RNG = np.random.default_rng(0)


def network(sizes=(4, 8, 3), activation="tanh", seed=0):
    return nn.MLP(list(sizes), activation=activation, rng=seed, dtype=np.float64)


def batch(n=20, n_in=4, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_in)), rng.integers(0, n_classes, n)


def names_of_disagreeing(checks):
    return [check.name for check in checks if not check.comparison.close]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (7, 3), (32, 100)])
def test_every_link_of_the_loss_agrees_with_its_closed_form(shape, scale):
    z, t = scale * RNG.normal(size=shape), RNG.integers(0, shape[1], shape[0])
    assert names_of_disagreeing(check_cross_entropy(z, t)) == []


@pytest.mark.parametrize("z", [[0.0, 40.0], [40.0, 0.0], [0.0, -np.inf], [-np.inf, 0.0], [5.0]])
def test_links_agree_where_softmax_saturates(z):
    z = np.array(z)
    assert names_of_disagreeing(check_cross_entropy(z[None], [0])) == []


def test_links_run_from_the_loss_back_to_the_first_weights():
    checks = check_network(network(), *batch())
    assert [(check.name, check.comparison.shape) for check in checks] == [
        ("∂L/∂losses", (20,)),
        ("∂L/∂log s", (20,)),
        ("∂L/∂(z_t − m)", (20,)),
        ("∂L/∂s", (20,)),
        ("∂L/∂e", (20, 3)),
        ("∂L/∂(z − m)", (20, 3)),
        ("∂L/∂z", (20, 3)),
        ("∂L/∂W2", (8, 3)),
        ("∂L/∂b2", (3,)),
        ("∂L/∂h1", (20, 8)),
        ("∂L/∂a1", (20, 8)),
        ("∂L/∂W1", (4, 8)),
        ("∂L/∂b1", (8,)),
        ("∂L/∂z of F.cross_entropy", (20, 3)),
    ]


@pytest.mark.parametrize("sizes", [(4, 3), (4, 8, 3), (4, 8, 6, 5, 3)])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_networks_of_any_depth_agree(sizes, scale):
    model = network(sizes)
    for parameter in model.parameters():
        parameter.data = parameter.data * scale  # tanh and softmax saturate
    checks = check_network(model, *batch())
    assert len(checks) == 8 + 4 * (len(sizes) - 2) + 2
    assert names_of_disagreeing(checks) == []


def test_a_layer_without_a_known_closed_form_is_refused_by_name():
    with pytest.raises(TypeError, match="closed form of ReLU"):
        check_network(network(activation="relu"), *batch())


def test_links_touch_no_gradients():
    model = network()
    check_network(model, *batch())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("primitive", "wrong", "first"),
    [
        ("exp", lambda g, y, x: g * y * (1 + 1e-13), "∂L/∂(z − m)"),
        ("log", lambda g, y, x: g / (x + 1e-12), "∂L/∂s"),
        ("tanh", lambda g, y, x: g * (1 - y), "∂L/∂a1"),
    ],
)
def test_a_wrong_derivative_shows_at_the_link_that_it_makes(monkeypatch, primitive, wrong, first):
    monkeypatch.setattr(getattr(primitives, primitive), "rules", (wrong,))
    apart = names_of_disagreeing(check_network(network(), *batch()))
    assert apart[0] == first


def test_a_wrong_closed_form_shows(monkeypatch):
    monkeypatch.setattr(closed_form, "softmax", lambda z: np.exp(z) / np.exp(z).sum())
    assert "∂L/∂z" in names_of_disagreeing(check_cross_entropy(*batch(n_in=3)))


def test_roundings_count_in_units_of_the_largest_term():
    checks = check_cross_entropy(RNG.normal(size=(50, 10)), RNG.integers(0, 10, 50))
    assert 0 < max(check.roundings for check in checks) < 4


def test_autograd_is_within_4e_16_of_softmax_minus_one_hot_on_1000_random_sets():
    comparison = check_random_logits().comparison
    assert comparison.max_abs <= 4e-16
    assert comparison.close


def test_random_sets_are_the_same_for_the_same_seed_only():
    first, again, other = (check_random_logits(20, seed).comparison for seed in (1, 1, 2))
    assert first == again
    assert first.shape != other.shape


def test_random_sets_would_show_a_wrong_derivative(monkeypatch):
    monkeypatch.setattr(primitives.exp, "rules", (lambda g, y, x: g * y * (1 + 1e-13),))
    comparison = check_random_logits(20).comparison
    assert comparison.max_abs > 4e-16
    assert not comparison.close
