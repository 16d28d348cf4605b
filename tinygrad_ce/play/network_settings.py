"""The settings of the network that learns: what the page sends, checked and bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..arguments import check_choice, check_integer, check_real, check_sequence, shown
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
OPTIMIZERS = {
    "SGD": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "RMSprop": ("RMSprop", {}),
    "Adagrad": ("Adagrad", {}),
    "Adam": ("Adam", {}),
    "AdamW": ("AdamW", {}),
}  # type: dict[str, tuple[str, dict[str, float]]]

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
        """Return what `read_settings` reads."""
        return asdict(self)


def read_settings(given: Any, before: Settings) -> Settings:
    """Return the settings with what was given changed.

    Parameters
    ----------
    given
        A dict with some of the fields of `Settings`.
    before
        What all others are.

    Raises
    ------
    ValueError, TypeError
        A field that is not known, is of another kind, or out of bounds.

    >>> read_settings({"hidden": [8], "activation": "relu"}, Settings()).hidden
    (8,)
    >>> read_settings({"hidden": [10**9]}, Settings())
    Traceback (most recent call last):
    ValueError: the units of a layer is 1000000000: expected at most 64
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"settings are an object, got {shown(given)}")
    names = [field.name for field in fields(Settings)]
    values = {name: getattr(before, name) for name in names}
    for name, value in given.items():
        check_choice("a setting", name, names)
        values[name] = _CHECKS[name](value)
    return Settings(**values)


def _integer(what: str, least: int, most: int) -> Callable[[Any], int]:
    return lambda value: check_integer(what, value, least, most)


def _real(what: str, least: float, most: float) -> Callable[[Any], float]:
    return lambda value: float(check_real(what, value, least, most))


def _choice(what: str, choices: Sequence[str]) -> Callable[[Any], str]:
    return lambda value: check_choice(what, str(value), choices)


def _text(what: str, most: int) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{what} is a text, got {shown(value)}")
        if len(value) > most:
            raise ValueError(f"{what} has {len(value):,} characters: expected at most {most:,}")
        return value

    return check


def _items(what: str, value: Any, most: int) -> list[Any]:
    items = check_sequence(what, value)
    if len(items) > most:
        raise ValueError(f"{what} are {len(items):,}: expected at most {most:,}")
    return items


def _hidden(value: Any) -> tuple[int, ...]:
    items = _items("hidden layers", value, MAX_LAYERS)
    return tuple(check_integer("the units of a layer", n, 1, MAX_UNITS) for n in items)


def _drawn(value: Any) -> tuple[tuple[float, float, int], ...]:
    reach = {"least": -MAX_REACH, "most": MAX_REACH}
    points = []
    for point in _items("points", value, MAX_DRAWN):
        x, y, label = _tuple("a point", point, 3)
        place = (float(check_real("a coordinate", v, **reach)) for v in (x, y))
        points.append((*place, check_integer("a class", label, 0, MAX_CLASSES - 1)))
    return tuple(points)


def _rates(value: Any) -> Rates:
    rates = []
    for pair in _items("changes of the learning rate", value, MAX_RATES):
        step, rate = _tuple("a change of the learning rate", pair, 2)
        least = rates[-1][0] + 1 if rates else 0
        rates.append((check_integer("a step", step, least, MAX_STEP), check_rate(rate)))
    if not rates or rates[0][0]:
        raise ValueError(f"learning rates begin at step 0, got {shown(value)}")
    return tuple(rates)


def check_rate(value: Any) -> float:
    """Return a learning rate."""
    return float(check_real("a learning rate", value, 1e-6, 100))


def _tuple(what: str, value: Any, n: int) -> list[Any]:
    items = check_sequence(what, value)
    if len(items) != n:
        raise ValueError(f"{what} has {n} parts, got {shown(value)}")
    return items


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "data": _choice("data", DATA),
    "points": _integer("the number of points", 10, MAX_POINTS),
    "noise": _real("the noise", 0, 1),
    "data_seed": _integer("the seed of the data", 0, MAX_SEED),
    "drawn": _drawn,
    "csv": _text("a CSV file", MAX_CSV),
    "csv_name": _text("the name of a file", 200),
    "target": _text("the target", 200),
    "hidden": _hidden,
    "activation": _choice("the activation", ACTIVATIONS),
    "weight_scale": _real("the scale of the weights", 0, 100),
    "optimizer": _choice("the optimizer", [*OPTIMIZERS]),
    "rates": _rates,
    "batch": _integer("the batch", 1, 10_000),
    "seed": _integer("the seed", 0, MAX_SEED),
}
