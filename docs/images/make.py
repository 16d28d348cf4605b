"""Draw the pictures of the README and of docs/: run as ``python docs/images/make.py``."""

from pathlib import Path

import numpy as np

import tinygrad_ce as tg

HERE = Path(__file__).parent


def cross_entropy() -> tg.Drawing:
    """The loss of one flower, out of exp, sum, log and indexing."""
    z = tg.Tensor([2.0, 1.0, 0.1], requires_grad=True, name="logits")
    with tg.scope("cross-entropy"):
        loss = np.exp(z).sum().log() - z[0]
    loss.name = "loss"
    return tg.draw(loss)


if __name__ == "__main__":
    print(cross_entropy().save(HERE / "cross_entropy.svg"))
