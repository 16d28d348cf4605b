"""The mutations of probabilities and losses."""

from mutations.mutation import of

loss = of("functional/losses.py", "functional")
probability = of("functional/probabilities.py", "functional")
activation = of("functional/activations.py", "nn", "functional/test_activations.py")
elementwise = of("functional/elementwise_losses.py", "functional/test_elementwise_losses.py")
validation = of("functional/validation.py", "functional")

MUTATIONS = [
    # ── functional/losses.py ──────────────────────────────────────────────────────────────────────
    loss("reduce_losses", "mean is sum", "losses.mean", "losses.sum"),
    loss("reduce_losses", "sum is mean", "return losses.sum()", "return losses.mean()"),
    loss("reduce_losses", "unweighted mean", "losses.sum() / row_weights.sum()", "losses.mean()"),
    loss("_smooth", "smoothing", "epsilon / n_classes", "epsilon"),
    loss("cross_entropy", "ignored rows count", "where(keep, losses, 0)", "losses * 1"),
    loss("_weighted_nll", "no maximum subtracted", "z - max_constant(z, -1)", "z"),
    loss(
        "multiply_zero_inf",
        "0 times infinity",
        "where((q == 0) & (neg_log_prob == np.inf), 0, neg_log_prob)",
        "neg_log_prob",
    ),
    # ── functional/probabilities.py ───────────────────────────────────────────────────────────────
    probability("softmax", "axis", "e.sum(axis, keepdims=True)", "e.sum(-1, keepdims=True)"),
    probability(
        "log_softmax",
        "axis",
        "shifted.exp().sum(axis, keepdims=True)",
        "shifted.exp().sum(-1, keepdims=True)",
    ),
    probability(
        "logsumexp",
        "maximum not added",
        "(z - m).exp().sum(axis, keepdims=True).log() + m",
        "(z - m).exp().sum(axis, keepdims=True).log()",
    ),
    # ── functional/activations.py ─────────────────────────────────────────────────────────────────
    activation(
        "dropout",
        "keeps what it should drop",
        "sample(rng.random, z.shape, dtype=np.float32 if z.dtype.itemsize <= 4 else float) >= p",
        "sample(rng.random, z.shape, dtype=np.float32 if z.dtype.itemsize <= 4 else float) < p",
    ),
    activation("dropout", "no scale", "1 / (1 - p) if p < 1 else 0.0", "1.0"),
    activation("silu", "not σ", "z.sigmoid()", "z.tanh()"),
    activation("elu", "exp of what is positive", "where(z > 0, 0.0, z)", "z"),
    activation("leaky_relu", "at 0", "z > 0", "z >= 0"),
    # ── functional/elementwise_losses.py ──────────────────────────────────────────────────────────
    elementwise("huber_loss", "no limit", "distance.clip(None, delta)", "distance"),
    elementwise("_log_with_limits", "no limit", "exact.clip(SMALLEST_LOG)", "exact"),
    elementwise(
        "_log_with_limits",
        "no gradient at 0",
        "p + (maximum(p.detach(), SMALLEST_PROBABILITY) - p.detach())",
        "maximum(p, SMALLEST_PROBABILITY)",
    ),
    elementwise(
        "binary_cross_entropy_with_logits",
        "weights all alike",
        "share = _weigh(y, pos_weight, 'pos_weight')",
        "share = y",
    ),
    elementwise("kl_div", "0 log 0", "where(y == 0, 1, y).log()", "y.log()"),
    # ── functional/validation.py ──────────────────────────────────────────────────────────────────
    validation(
        "check_range", "off by one", "read.item(read.argmax()) >= n", "read.item(read.argmax()) > n"
    ),
    validation(
        "_unsigned", "negative ones wrap around", "dtype.str.replace('i', 'u')", "dtype.str"
    ),
]
