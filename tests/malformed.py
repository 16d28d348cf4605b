"""Arguments that nobody should give: what is no number, no array, no size, no name, no function."""

import datetime
import itertools
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np

import tinygrad_ce as tg
from tinygrad_ce import nn


class HostileError(Exception):
    """What the objects below raise: a test sees whether it comes through."""


def _hostile(*methods, **given):
    def refuse(self, *args, **options):
        raise HostileError

    return type("Frame", (), dict.fromkeys(methods, refuse) | given)()


class Frame:
    """As a table of pandas: it has a shape and a length, and converts to an array of objects."""

    shape, ndim, dtype = (2, 3), 2, "category"

    def __len__(self):
        return 2

    def __array__(self, dtype=None, copy=None):
        return np.array([["a", 1.0, None]] * 2, object)


class Subclass(np.ndarray):
    """An array with a unit, say."""


def _recursive():
    endless = [1.0]
    endless.append(endless)
    return endless


def _freed():
    y = tg.Tensor([1.0, 2.0], requires_grad=True) * 2
    y.sum().backward()
    return y


def _array(valid):
    """The valid argument as an array of numbers, or some array where it is none."""
    if isinstance(valid, tg.Tensor):
        return np.array(valid.data)
    try:
        array = np.array(valid)
    except Exception:
        array = np.array(None)
    return array if array.dtype.kind in "biuf" else np.ones((2, 3))


def _masked(valid):
    array = _array(valid)
    return np.ma.array(array, mask=np.arange(array.size).reshape(array.shape) == 0)


def _with(number):
    def make(valid):
        array = np.array(_array(valid), np.float64)
        array.reshape(-1)[:1] = number
        return array

    return make


def _converted(dtype):
    return lambda valid: np.asarray(np.clip(_array(valid), 0, 100).astype(dtype))


def _strided(valid):
    array = _array(valid)
    return np.repeat(array, 2, -1)[..., ::2] if array.ndim else array


# The same numbers in another form: the result is the same, unless they are refused.
SAME = {
    "an equal array": _array,
    "big-endian": lambda v: _array(v).astype(_array(v).dtype.newbyteorder(">")),
    "Fortran order": lambda v: np.asfortranarray(_array(v)),
    "strided": _strided,
    "read-only": lambda v: np.broadcast_to(_array(v), _array(v).shape),
    "matrix": lambda v: np.matrix(_array(v)) if _array(v).ndim == 2 else _array(v),
    "subclass": lambda v: _array(v).view(Subclass),
    "memoryview": lambda v: memoryview(np.array(_array(v), order="C")),
    "Tensor": lambda v: tg.Tensor(_array(v)),
}

# Numbers, but of another kind, shape or size.
NUMBERS = {
    "float16": _converted(np.float16),
    "float32": _converted(np.float32),
    "longdouble": _converted(np.longdouble),
    "uint8": _converted(np.uint8),
    "uint64": _converted(np.uint64),
    "int8": _converted(np.int8),
    "booleans": _converted(bool),
    "negated": lambda v: -_array(v).astype(float),
    "fractions of labels": lambda v: _array(v) + 0.5,
    "with nan": _with(np.nan),
    "with inf": _with(np.inf),
    "with 1e300": _with(1e300),
    "with -1": _with(-1),
    "0-d": lambda v: np.array(1.0),
    "0-d integer": lambda v: np.array(1),
    "empty": lambda v: np.zeros(0),
    "empty list": lambda v: [],
    "empty tuple": lambda v: (),
    "no rows": lambda v: _array(v)[None][:0],
    "one more axis": lambda v: _array(v)[None],
    "one more row": lambda v: np.concatenate([_array(v).reshape(-1)] * 2),
    "64 axes": lambda v: np.ones((1,) * 64),
    "True": lambda v: True,
    "False": lambda v: False,
    "np.True_": lambda v: np.True_,
    "0": lambda v: 0,
    "7": lambda v: 7,
    "-7": lambda v: -7,
    "2**63": lambda v: 2**63,
    "0.5": lambda v: 0.5,
    "nan": lambda v: math.nan,
    "inf": lambda v: math.inf,
    "-inf": lambda v: -math.inf,
    "1e300": lambda v: 1e300,
    "np.float16": lambda v: np.float16(0.5),
    "np.longdouble": lambda v: np.longdouble(0.5),
    "np.uint64": lambda v: np.uint64(1),
    "np.int8": lambda v: np.int8(-1),
    "range": lambda v: range(2),
    "bytearray": lambda v: bytearray(b"\1\2"),
    "computed Tensor": lambda v: tg.Tensor(_array(v).astype(float)) * 1,
}

# Tensors, where a constant may be meant: it is taken if a gradient passes, else refused.
DIFFERENTIABLE = {
    "Tensor with a gradient": lambda v: tg.Tensor(_array(v).astype(float), requires_grad=True),
    "result with a gradient": lambda v: tg.Tensor(_array(v).astype(float), requires_grad=True) * 1,
    "freed Tensor": lambda v: _freed(),
}

# Never numbers.
NO_NUMBERS = {
    "None": lambda v: None,
    "Ellipsis": lambda v: ...,
    "NotImplemented": lambda v: NotImplemented,
    "str": lambda v: "abc",
    "numeric str": lambda v: "1",
    "empty str": lambda v: "",
    "escape sequence": lambda v: "\x1b[31m\ud800\n",
    "10,000 characters": lambda v: "n" * 10_000,
    "np.str_": lambda v: np.str_("1"),
    "bytes": lambda v: b"1",
    "date": lambda v: datetime.date(2020, 1, 1),
    "timedelta": lambda v: datetime.timedelta(1),
    "dates": lambda v: _array(v).astype("M8[D]"),
    "time differences": lambda v: _array(v).astype("m8[s]"),
    "NaT": lambda v: np.datetime64("NaT"),
    "complex": lambda v: 1j,
    "complex array": lambda v: _array(v) + 1j,
    "Decimal": lambda v: Decimal("1.5"),
    "Fraction": lambda v: Fraction(1, 2),
    "10**30": lambda v: 10**30,
    "-10**30": lambda v: -(10**30),
    "objects": lambda v: _array(v).astype(object),
    "0-d object": lambda v: np.array(None),
    "strings": lambda v: _array(v).astype(str),
    "records": lambda v: np.zeros(2, [("a", float)]),
    "record": lambda v: np.zeros(1, [("a", float)])[0],
    "masked": _masked,
    "masked without a mask": lambda v: np.ma.array(_array(v)),
    "masked constant": lambda v: np.ma.masked,
    "ragged": lambda v: [[1.0, 2.0], [3.0]],
    "ragged arrays": lambda v: [np.ones(2), np.ones(3)],
    "list with None": lambda v: [1.0, None],
    "list of strings": lambda v: ["1", "2"],
    "list of masked arrays": lambda v: [_masked(v)],
    "list in itself": lambda v: _recursive(),
    "set": lambda v: {1, 2},
    "frozenset": lambda v: frozenset((0, 1)),
    "dict": lambda v: {0: 1.0},
    "generator": lambda v: (x for x in (1.0, 2.0)),
    "endless iterator": lambda v: itertools.count(),
    "map": lambda v: map(float, (1, 2)),
    "zip": lambda v: zip((1,), (2,), strict=True),
    "module": lambda v: math,
    "class": lambda v: int,
    "class Tensor": lambda v: tg.Tensor,
    "lambda": lambda v: lambda: None,
    "builtin": lambda v: len,
    "bound method": lambda v: "abc".upper,
    "Module": lambda v: nn.Tanh(),
    "exception": lambda v: ValueError("given"),
    "object": lambda v: object(),
    "slice": lambda v: slice(None),
    "dtype": lambda v: np.dtype(float),
    "dtype of dates": lambda v: np.dtype("M8[s]"),
    "ufunc": lambda v: np.add,
    "generator of random numbers": lambda v: np.random.default_rng(0),
    "old random state": lambda v: np.random.RandomState(0),
    "table": lambda v: Frame(),
    "no array": lambda v: _hostile("__array__"),
    "no length": lambda v: _hostile("__len__", "__getitem__", "__iter__"),
    "no float": lambda v: _hostile("__float__", "__index__", "__int__", "__bool__"),
    "no comparison": lambda v: _hostile("__eq__", "__lt__", "__gt__", "__le__", "__ge__"),
    "no repr": lambda v: _hostile("__repr__", "__str__"),
    "no attributes": lambda v: _hostile("__getattr__"),
    "no hash": lambda v: _hostile("__hash__"),
    "index that is none": lambda v: _hostile(__index__=lambda self: 1.5),
    "endless length": lambda v: _hostile(
        __len__=lambda self: 10**9, __getitem__=lambda self, i: self
    ),
}

ALL = SAME | NUMBERS | DIFFERENTIABLE | NO_NUMBERS
