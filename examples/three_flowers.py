"""Three flowers: from a petal and a sepal to a probability, its cross-entropy, and the gradient.

    python examples/three_flowers.py
    python examples/three_flowers.py --out pictures

Two numbers of a flower, one for a petal and one for a sepal, go through a network with two hidden
units and come out as a probability for each of three species. The article on the cross-entropy loss
that this project goes back to has a table of three such flowers. This script computes that table
from the raw inputs, and finds:

* The article's losses are those of its rounded probabilities. Rounding came too early: with all
  digits, each of the three losses has another second decimal place.
* Its worked example for Versicolor ends in 0.56, which is the loss of Setosa. It is 0.65, as in the
  article's own table, or 0.66 with all digits.

Then it compares the article's three derivatives with what backprop finds, and draws the graph of
the network's loss on Versicolor.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

import tinygrad_ce as tg
from tinygrad_ce.verify import Comparison, table

SPECIES = ("Setosa", "Versicolor", "Virginica")

# (petal, sepal) to two hidden units, and these to three logits: x @ W + b.
W1 = [[-2.5, -1.5], [0.6, 0.4]]
b1 = [1.6, 0.7]
W2 = [[-0.1, 2.4, -2.2], [1.5, -5.2, 3.7]]
b2 = [0.0, 0.0, 1.0]


class Flower(NamedTuple):
    """A row of the article's table: the flower, and what is printed there for it."""

    petal: float
    sepal: float
    species: str
    printed_p: float
    printed_loss: float

    @property
    def label(self) -> int:
        """The number of the species."""
        return SPECIES.index(self.species)


FLOWERS = (
    Flower(0.04, 0.42, "Setosa", 0.57, 0.56),
    Flower(1.00, 0.54, "Virginica", 0.58, 0.54),
    Flower(0.50, 0.37, "Versicolor", 0.52, 0.65),
)


class Pass(NamedTuple):
    """What the network computes for one flower: logits, probabilities, and loss.

    A batch of one flower: z, p and the one-hot y have the shape (1, 3).
    """

    z: tg.Tensor
    p: tg.Tensor
    y: tg.Tensor
    loss: tg.Tensor


def parameter(value: Sequence[object], name: str) -> tg.Tensor:
    """A weight or bias, with a name for the drawing."""
    return tg.Tensor(np.array(value), requires_grad=True, name=name)


def forward(flower: Flower) -> Pass:
    """Send a flower through the network."""
    x = tg.Tensor([[flower.petal, flower.sepal]], name="petal, sepal")
    y = tg.Tensor([np.eye(3)[flower.label]], name=f"y: {flower.species}")
    with tg.scope("hidden"):
        h = (x @ parameter(W1, "W1") + parameter(b1, "b1")).relu()
    with tg.scope("output"):
        z = h @ parameter(W2, "W2") + parameter(b2, "b2")
    with tg.scope("softmax"):
        e = np.exp(z)  # the logits are small: no need to subtract the largest first
        p = e / e.sum()
    with tg.scope("cross-entropy"):
        loss = -(y * np.log(p)).sum()
    z.name, p.name, loss.name = "logits", "probabilities", "loss"
    return Pass(z, p, y, loss)


def article_table() -> str:
    """The article's table, computed, beside what it prints."""
    lines = [
        "              with all digits    from the rounded p    in the article",
        "petal  sepal  p       -log p     p     -log p          p     loss  species",
    ]
    for flower in FLOWERS:
        pass_ = forward(flower)
        p = pass_.p[0, flower.label].item()
        rounded = round(p, 2)
        lines.append(
            f"{flower.petal:.2f}   {flower.sepal:.2f}   {p:.4f}  {pass_.loss.item():.4f}     "
            f"{rounded:.2f}  {-np.log(rounded):.4f}          "
            f"{flower.printed_p:.2f}  {flower.printed_loss:.2f}  {flower.species}"
        )
    return "\n".join(lines)


def derivatives(flower: Flower) -> list[Comparison]:
    """The article's three derivatives, from what backprop finds for one flower.

    With the true class t: ∂L/∂p is -1/p[t] at t and 0 elsewhere; ∂p[t]/∂z[i] is p[t] (1 - p[t])
    for i = t and -p[t] p[i] for i ≠ t; and their product ∂L/∂z is p - y.
    """
    z, p, y, loss = forward(flower)
    t = flower.label
    dp, dz = tg.gradients(loss, [p, z])
    (dp_t,) = tg.gradients(p[0, t], [z])
    one_hot, probabilities, p_t = y.data, p.data, p.data[0, t]
    return [
        tg.compare(dp, -one_hot / p_t, "∂L/∂p"),
        tg.compare(dp_t, p_t * (one_hot - probabilities), "∂p[t]/∂z"),
        tg.compare(dz, probabilities - one_hot, "∂L/∂z"),
    ]


def draw(flower: Flower, folder: Path) -> Path:
    """Draw the graph of the flower's loss: as SVG, or as DOT where there is no Graphviz."""
    drawing = tg.draw(forward(flower).loss, direction="TB")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return drawing.save(folder / "three_flowers.svg")
    except ImportError:
        return drawing.save(folder / "three_flowers.dot")


# ── From the command line ─────────────────────────────────────────────────────────────────────────


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables and draw the graph; returns the exit status, 1 if a derivative is wrong."""
    parser = Parser(description="The article's three flowers, recomputed.", allow_abbrev=False)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("."),
        metavar="DIR",
        help="the folder for three_flowers.svg (default: the current one)",
    )
    arguments = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that knows no ∂ prints a ? for it
        sys.stdout.reconfigure(errors="replace")

    print(article_table())
    print(
        "\nThe article's losses are those of its rounded p: all three are off in the second place."
        "\nIts worked example for Versicolor says 0.56, which is the loss of Setosa.\n"
    )
    close = True
    for flower in FLOWERS:
        rows = derivatives(flower)
        print(f"{flower.species}\n{table(rows)}\n")
        close = close and all(row.close for row in rows)
    try:
        print(f"graph: {draw(FLOWERS[2], arguments.out)}")
    except OSError as error:
        parser.error(f"cannot write to {arguments.out}: {error.strerror or error}")
    return 0 if close else 1


if __name__ == "__main__":
    sys.exit(main())
