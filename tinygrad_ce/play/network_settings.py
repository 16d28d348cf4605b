"""The settings of the network that learns: what the page sends, checked and bounded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from ..arguments import check_integer, check_real, shown
from .messages import Check, choice, integer, items, optional, real, text
from .point_sets import POINT_SETS

MAX_LAYERS = 6  # hidden ones
MAX_UNITS = 64
MAX_POINTS = 1_000
MAX_DRAWN = 400
MAX_CLASSES = 4  # of drawn points
MAX_REACH = 3.0  # of drawn points, in either direction
MAX_CSV = 500_000  # characters
MAX_RATES = 100  # changes of the learning rate
MAX_STEP = 10_000_000
MAX_SEED = 2**32 - 1

DATA = (*POINT_SETS, "iris", "digits", "drawn", "csv", "given")
ACTIVATIONS = ("tanh", "relu", "sigmoid")
# The arguments of the classes of tinygrad_ce.optim, besides the learning rate.
OPTIMIZERS: dict[str, tuple[str, dict[str, float]]] = {
    "SGD": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "RMSprop": ("RMSprop", {}),
    "Adagrad": ("Adagrad", {}),
    "Adam": ("Adam", {}),
    "AdamW": ("AdamW", {}),
}

Rates = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training is made of; the same settings give the same bits.

    Attributes
    ----------
    data
        One of `DATA`.
    points, noise, data_seed
        How many points are drawn, with how much noise, and how the points are split: of a data set
        that is not drawn, the seed of the split only.
    drawn
        The points (x, y, class) that were drawn by hand.
    csv, csv_name, target
        The text of a CSV file, its name, and the column with the classes.
    hidden, activation
        The units of each hidden layer, and what is between the layers.
    weight_scale
        By what the initial weights are multiplied.
    optimizer, rates
        One of `OPTIMIZERS`, and from which step on it has which learning rate.
    batch, seed
        How many points a step is made from, and the seed of weights and batches.
    """

    data: str = "two_moons"
    points: int = 200
    noise: float = 0.15
    data_seed: int = 0
    drawn: tuple[tuple[float, float, int], ...] = ()
    csv: str = ""
    csv_name: str = ""
    target: str = ""
    hidden: tuple[int, ...] = (16, 16)
    activation: str = "tanh"
    weight_scale: float = 1.0
    optimizer: str = "SGD"
    rates: Rates = ((0, 0.3),)
    batch: int = 32
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, as `with_changes` takes them."""
        return asdict(self)

    def with_changes(self, given: dict[str, Any]) -> Settings:
        """Return the settings with some fields changed, which `CHECKS` has checked.

        >>> Settings().with_changes({"hidden": [8], "points": 50}).hidden
        (8,)
        """
        lists = {k: tuple(v) for k, v in given.items() if isinstance(v, list)}
        return replace(self, **(given | lists))


def _triple(what: str, value: Any) -> tuple[float, float, int]:
    """A point that was drawn."""
    x, y, label = items(lambda _, part: part, 3, 3)(what, value)
    x, y = (float(check_real(what, part, -MAX_REACH, MAX_REACH)) for part in (x, y))
    return x, y, check_integer(f"the class of {what}", label, 0, MAX_CLASSES - 1)


def _rates(what: str, value: Any) -> Rates:
    rates: list[tuple[int, float]] = []
    for pair in items(items(lambda _, part: part, 2, 2), 1, MAX_RATES)(what, value):
        least = rates[-1][0] + 1 if rates else 0
        step = check_integer("the step of a learning rate", pair[0], least, MAX_STEP)
        rates.append((step, RATE("a learning rate", pair[1])))
    if rates[0][0]:
        raise ValueError(f"{what} begin at step 0, got {shown(value)}")
    return tuple(rates)


RATE = real(1e-6, 100)
SEED = integer(0, MAX_SEED)

CHECKS: dict[str, Check] = {
    name: optional(check)
    for name, check in {
        "data": choice(DATA),
        "points": integer(10, MAX_POINTS),
        "noise": real(0, 1),
        "data_seed": SEED,
        "drawn": items(_triple, 0, MAX_DRAWN),
        "csv": text(MAX_CSV),
        "csv_name": text(200),
        "target": text(200),
        "hidden": items(integer(1, MAX_UNITS), 0, MAX_LAYERS),
        "activation": choice(ACTIVATIONS),
        "weight_scale": real(0, 100),
        "optimizer": choice(OPTIMIZERS),
        "rates": _rates,
        "batch": integer(1, MAX_POINTS),
        "seed": SEED,
    }.items()
}
"""The fields of `Settings` as a message may have them."""
