"""Messages to a session, and what comes back."""

import numpy as np

from tinygrad_ce.play.one_loss import FORMS

SETTING = {
    "part": "loss",
    "do": "set",
    "logits": [2.0, 1.0, 0.1],
    "label": 0,
    "smoothing": 0.0,
    "form": "naive",
    "dtype": "float64",
    "direction": "LR",
}


def settings(n, seed=0):
    """Random settings of one loss, in a list."""
    return list(_settings(n, seed))


def _settings(n, seed):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        classes = int(rng.integers(2, 10))
        soft = rng.dirichlet(np.ones(classes)).tolist() if rng.random() < 0.4 else None
        yield SETTING | {
            "logits": (rng.normal(size=classes) * rng.choice([0.1, 2, 8])).round(3).tolist(),
            "label": int(rng.integers(classes)),
            "smoothing": float(rng.choice([0, 0, 0.1, 0.5, 1])),
            "form": str(rng.choice([*FORMS])),
            "dtype": str(rng.choice(["float64", "float32"])),
            **({"soft": soft} if soft else {}),
        }


def frame_of(session, message):
    """The frame that answers a message."""
    replies = session.handle(message)
    assert replies[-1]["kind"] == "frame", replies
    return replies[-1]


def error_of(session, message):
    """What a session says of a message that is wrong."""
    (reply,) = session.handle(message)
    assert reply["kind"] == "error", reply
    return reply["message"]
