"""The mutations of probabilities and losses."""

from mutations.mutation import of

loss = of("functional/losses.py", "functional")
probability = of("functional/probabilities.py", "functional")
activation = of("functional/activations.py", "nn")
validation = of("functional/validation.py", "functional")

MUTATIONS = [
    # ── functional/losses.py ──────────────────────────────────────────────────────────────────────
    loss("_reduce", "mean is sum", "losses.mean", "losses.sum"),
    loss("_reduce", "sum is mean", "return losses.sum()", "return losses.mean()"),
    loss("_reduce", "unweighted mean", "losses.sum() / row_weights.sum()", "losses.mean()"),
    loss("_smooth", "smoothing", "epsilon / n_classes", "epsilon"),
    loss("cross_entropy", "ignored rows count", "where(keep, losses, 0)", "losses * 1"),
    loss("_weighted_nll", "no maximum subtracted", "z - max_constant(z, -1)", "z"),
    loss(
        "_multiply_zero_inf",
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
    # ── functional/validation.py ──────────────────────────────────────────────────────────────────
    validation(
        "check_range", "off by one", "read.item(read.argmax()) >= n", "read.item(read.argmax()) > n"
    ),
    validation(
        "_unsigned", "negative ones wrap around", "dtype.str.replace('i', 'u')", "dtype.str"
    ),
]
