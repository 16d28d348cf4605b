"""Checkpoints: a model, and all it takes to go on training it or to predict, in one file.

The file is in the safetensors format: arrays by name, and a text. The text is a tree in JSON that
says how objects hold the arrays. Objects are made by their class's name, from a list of classes
that this package knows or the caller gives, and get the attributes that they had: nothing in a file
is run. An object that occurs twice, such as a generator that two layers share, is one again.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arguments import shown
from .atomic_files import check_path, write_file
from .engine.context import no_grad
from .engine.tensor import Tensor
from .functional import softmax

__all__ = ["Checkpoint", "load", "save"]


def __dir__() -> list[str]:
    return __all__


Array = NDArray[Any]

FORMAT = "tinygrad_ce checkpoint"
VERSION = 1
MAX_DEPTH = 100
BLOCK_ROWS = 4096  # of rows to predict that a model gets at a time

# Where the classes are whose objects can be in a file: public names of these modules.
_HOMES = ("nn", "optim", "optim.lr_scheduler", "data", "train")
_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
_DTYPES = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {"f2", "f4", "f8", "b1"}


_ALWAYS = {"model", "versions"}


@dataclass(repr=False)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    model
        The Module, in the mode that it was in.
    optimizer, scheduler, early_stopping
        What it was trained with, or None.
    rng
        The generator of the order of rows, or None.
    history
        The losses and accuracies so far, one of each epoch, or None.
    encoder, standardizer
        How rows of a table become rows of the model, or None.
    extra
        What else was saved: numbers, texts, arrays, lists and dicts of them.
    versions
        Of the package, NumPy and Python that have written it.
    """

    model: Any
    optimizer: Any = None
    scheduler: Any = None
    early_stopping: Any = None
    rng: np.random.Generator | None = None
    history: Any = None
    encoder: Any = None
    standardizer: Any = None
    extra: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """The number of epochs in the history."""
        return 0 if self.history is None else len(self.history)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes, if there is an encoder."""
        return None if self.encoder is None else self.encoder.class_names

    def __repr__(self) -> str:
        more = [name for name, value in vars(self).items() if name not in _ALWAYS and value]
        return f"<Checkpoint of {self.model!r}{' with ' if more else ''}{', '.join(more)}>"

    def inputs(self, rows: Any) -> Array:
        """Return what the model gets for rows: encoded, standardized, in its dtype.

        Parameters
        ----------
        rows
            As `Encoder.encode` takes them, or without an encoder an array (n, ...).
        """
        X = np.asarray(rows) if self.encoder is None else self.encoder.encode(rows)
        return self.prepare(X)

    def prepare(self, X: Array) -> Array:
        """Return encoded rows, standardized and in the dtype of the model.

        Parameters
        ----------
        X
            Rows (n, ...), as an encoder makes them.
        """
        if self.standardizer is not None:
            X = self.standardizer.transform(X)
        parameters = self.model.parameters()
        return X.astype(parameters[0].dtype) if parameters and X.dtype.kind == "f" else X

    def predict_proba(self, rows: Any) -> Array:
        """Return the probability of each class, (n, C), by the model in evaluation mode.

        Parameters
        ----------
        rows
            As `inputs` takes them: the path of a CSV file, a DataFrame, a list of dicts, ...
        """
        X = self.inputs(rows)
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        try:
            with no_grad():
                blocks = range(0, max(1, len(X)), BLOCK_ROWS)
                found = [softmax(self.model(X[i : i + BLOCK_ROWS])).data for i in blocks]
                return np.concatenate(found)
        finally:
            for module, training in modes:
                module.training = training

    def predict(self, rows: Any) -> Array:
        """Return the most probable class of each row: its name, or its index without an encoder.

        Parameters
        ----------
        rows
            As `inputs` takes them.
        """
        codes: Array = self.predict_proba(rows).argmax(-1)
        return codes if self.class_names is None else np.array(self.class_names)[codes]


_PARTS = [part.name for part in fields(Checkpoint) if part.name != "versions"]


def save(path: str | Path, model: Any, **parts: Any) -> None:
    """Save a model and what it was trained with to one file, as a whole or not at all.

    Parameters
    ----------
    path
        The file; its name usually ends in .safetensors.
    model
        A Module.
    parts
        Any of `optimizer`, `scheduler`, `early_stopping`, `rng`, `history`, `encoder`,
        `standardizer` and `extra`, see `Checkpoint`. What they share is shared again in what `load`
        returns.

    Raises
    ------
    ImportError
        safetensors is not installed.
    TypeError
        A part is unknown, or holds what a file cannot, such as a function.
    OSError
        The file cannot be written.

    >>> from pathlib import Path
    >>> from tinygrad_ce import nn, optim
    >>> path = Path(getfixture("tmp_path")) / "model.safetensors"
    >>> model = nn.MLP([4, 8, 3], rng=0)
    >>> save(path, model, optimizer=optim.Adam(model.parameters()))
    >>> checkpoint = load(path)
    >>> checkpoint.model
    MLP(0=Linear(4, 8), 1=Tanh(), 2=Linear(8, 3); 67 parameters)
    >>> checkpoint.predict([[5.0, 3.5, 1.5, 0.5]])
    array([2])
    """
    unknown = parts.keys() - {*_PARTS}
    if unknown:
        raise TypeError(
            f"no part of a checkpoint: {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}"
        )
    if not callable(getattr(type(model), "named_parameters", None)):
        raise TypeError(f"model is a Module, got {shown(model)}")
    write_file(check_path(path), dumps(model, **parts))


def dumps(model: Any, **parts: Any) -> bytes:
    """Return what `save` writes."""
    if not callable(getattr(type(model), "_named_tensors", None)):
        raise TypeError(f"model is a Module, got {shown(model)}")
    writer = _Writer(model)
    tree = {name: writer.node(part, name) for name, part in {"model": model, **parts}.items()}
    text = json.dumps(
        {"format": FORMAT, "version": VERSION, "versions": _versions(), "parts": tree},
        ensure_ascii=False,
        allow_nan=False,
    )
    content: bytes = _safetensors().numpy.save(writer.arrays, {"tinygrad_ce": text})
    return content


def load(path: str | Path, classes: Iterable[type] = ()) -> Checkpoint:
    """Load what `save` has written. No code that is in a file is run.

    Parameters
    ----------
    path
        The file.
    classes
        Classes of your own that the file names, such as a Module. Their objects get the
        attributes that they had; `__init__` is not called.

    Returns
    -------
    Checkpoint
        It can predict on raw rows at once, if there is an encoder, and train on.

    Raises
    ------
    ImportError
        safetensors is not installed.
    ValueError
        The file is no checkpoint, is damaged, or was written by a later version.
    TypeError
        It names a class that is not known here.
    OSError
        It cannot be read.
    """
    safetensors = _safetensors()
    raw = check_path(path).read_bytes()
    try:
        arrays = safetensors.numpy.load(raw)
        text = _metadata(raw).get("tinygrad_ce")
        if text is None:
            raise ValueError("a safetensors file without what tinygrad_ce's nn.save adds")
        return _read(json.loads(text), arrays, {cls.__name__: cls for cls in classes})
    except (safetensors.SafetensorError, ValueError, KeyError, RecursionError) as error:
        reason = str(error).strip("'\"") or type(error).__name__
        raise ValueError(f"{path} is no checkpoint that can be read: {reason}") from None


def _read(document: Any, arrays: dict[str, Array], classes: dict[str, type]) -> Checkpoint:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"its text is no {FORMAT}")
    if document.get("version") != VERSION:
        raise ValueError(
            f"it has version {shown(document.get('version'))}, and this package reads {VERSION}"
        )
    versions, parts = document.get("versions"), document.get("parts")
    if not isinstance(versions, dict) or not isinstance(parts, dict) or "model" not in parts:
        raise ValueError("it has no model")
    if not parts.keys() <= {*_PARTS}:
        raise ValueError(f"it has unknown parts: {shown(sorted(parts.keys() - {*_PARTS}))}")
    reader = _Reader(arrays, classes)
    found = {name: reader.value(node, name) for name, node in parts.items()}
    reader.check_all_used()
    checkpoint = Checkpoint(**found, versions={str(k): str(v) for k, v in versions.items()})
    _check(checkpoint)
    return checkpoint


def _check(checkpoint: Checkpoint) -> None:
    """Refuse parts of the wrong kinds, and state that does not fit its parameters."""
    kinds = {
        "model": "nn.Module",
        "optimizer": "optim.Optimizer",
        "encoder": "data.Encoder",
        "standardizer": "data.Standardizer",
        "history": "train.History",
        "early_stopping": "train.EarlyStopping",
    }
    for name, kind in kinds.items():
        part, (home, cls) = getattr(checkpoint, name), kind.split(".")
        if part is not None and not isinstance(part, getattr(_home(home), cls)):
            raise ValueError(f"its {name} is {shown(part)}, no {kind}")
    if checkpoint.rng is not None and not isinstance(checkpoint.rng, np.random.Generator):
        raise ValueError(f"its rng is {shown(checkpoint.rng)}, no generator")
    if not isinstance(checkpoint.extra, dict):
        raise ValueError(f"its extra is {shown(checkpoint.extra)}, no dict")
    optimizer = checkpoint.optimizer
    if optimizer is None:
        return
    params = getattr(optimizer, "params", None)
    if not isinstance(params, list) or not all(isinstance(p, Tensor) for p in params):
        raise ValueError("its optimizer has no list of parameters")
    for name in optimizer.per_parameter_state:
        entries = getattr(optimizer, name, None)
        fits = isinstance(entries, list) and len(entries) in (0, len(params))
        if not fits or any(
            np.shape(entry) not in ((), parameter.shape)
            for entry, parameter in zip(entries or (), params, strict=False)
        ):
            raise ValueError(f"the optimizer's {name} does not fit its parameters")


# ── Trees ─────────────────────────────────────────────────────────────────────────────────────────
#
# None, booleans, integers, finite numbers and texts are themselves, lists are lists of nodes, and
# all else is an object with one key that says what it is. What can be shared has an "id", and is
# {"ref": id} from its second occurrence on.


class _Writer:
    """Makes nodes of values, and collects the arrays."""

    def __init__(self, model: Any) -> None:
        self.arrays: dict[str, Array] = {}
        self.ids: dict[int, int] = {}
        self.kept: list[Any] = []  # objects with an id, which no other object may take over
        # The model's arrays have the names of its state_dict, whatever attribute holds them.
        self.names = {id(t): f"model.{name}" for name, t in model._named_tensors()}

    def node(self, value: Any, path: str) -> Any:
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if id(value) in self.ids:
            return {"ref": self.ids[id(value)]}
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value), path)}
        if isinstance(value, tuple):
            return {"tuple": [self.node(v, f"{path}.{i}") for i, v in enumerate(value)]}
        shared = {"id": self._id(value)}
        if isinstance(value, np.ndarray):
            return {"array": self._array(value, path)} | shared
        if isinstance(value, list):
            return {"list": [self.node(v, f"{path}.{i}") for i, v in enumerate(value)]} | shared
        if isinstance(value, Mapping):
            return {"dict": self._items(value, path)} | shared
        if isinstance(value, Tensor):
            return {"tensor": self._tensor(value, path)} | shared
        if isinstance(value, np.random.Generator):
            return {"generator": self._generator(value, path)} | shared
        if not hasattr(value, "__dict__") or isinstance(value, type) or callable_only(value):
            raise TypeError(
                f"{path} is {shown(value)}, which a checkpoint cannot hold: it holds numbers, "
                "texts, arrays, Tensors, generators, lists, dicts, and objects of these"
            )
        return {"object": type(value).__name__, "attributes": self._items(vars(value), path)} | (
            shared
        )

    def _id(self, value: Any) -> int:
        self.kept.append(value)
        return self.ids.setdefault(id(value), len(self.ids))

    def _items(self, items: Mapping[Any, Any], path: str) -> dict[str, Any]:
        for key in items:
            if not isinstance(key, str):
                raise TypeError(f"{path} has the key {shown(key)}: keys in a checkpoint are texts")
        return {key: self.node(value, f"{path}.{key}") for key, value in items.items()}

    def _array(self, array: Array, path: str) -> dict[str, str]:
        dtype = array.dtype.str[1:]
        if dtype not in _DTYPES:
            raise TypeError(f"{path} holds {array.dtype}, which a safetensors file cannot")
        name = path
        while name in self.arrays:
            name += "_"
        # In C order and with the byte order of the format; ascontiguousarray would make 0-d 1-d.
        self.arrays[name] = np.array(array, f"<{dtype}", order="C")
        return {"name": name, "dtype": array.dtype.str}

    def _tensor(self, tensor: Tensor, path: str) -> dict[str, Any]:
        if tensor.primitive is not None:
            raise TypeError(f"{path} is the result of an operation: a checkpoint holds leaves")
        return {
            "value": self._array(np.asarray(tensor.data), self.names.get(id(tensor), path)),
            "requires_grad": tensor.requires_grad,
            "name": tensor.name,
        }

    def _generator(self, rng: np.random.Generator, path: str) -> dict[str, Any]:
        bits = rng.bit_generator
        kind = type(bits).__name__
        if kind not in _GENERATORS or type(bits).__module__.split(".")[0] != "numpy":
            raise TypeError(f"{path} draws from {shown(bits)}: expected one of NumPy's generators")
        seed = bits.seed_seq
        seeds = ("entropy", "spawn_key", "pool_size", "n_children_spawned")
        known = {name: getattr(seed, name) for name in seeds if hasattr(seed, name)}
        state = self._items(bits.state, f"{path}.state")
        return {"kind": kind, "state": state, "seed": self._items(known, f"{path}.seed")}


def callable_only(value: Any) -> bool:
    """Whether a value is a function or a method, whose code a file cannot hold."""
    return hasattr(value, "__code__") or hasattr(value, "__func__") or hasattr(value, "__wrapped__")


class _Reader:
    """Makes values of nodes."""

    def __init__(self, arrays: dict[str, Array], classes: dict[str, type]) -> None:
        self.arrays = arrays
        self.used: set[str] = set()
        self.classes = classes
        self.values: dict[int, Any] = {}

    def check_all_used(self) -> None:
        surplus = sorted(self.arrays.keys() - self.used)
        if surplus:
            raise ValueError(f"it has arrays that belong to nothing: {shown(surplus[:3])}")

    def value(self, node: Any, path: str, depth: int = 0) -> Any:
        if node is None or isinstance(node, bool | int | float | str):
            return node
        if not isinstance(node, dict) or depth > MAX_DEPTH:
            raise ValueError(f"{path} is {shown(node)}, which says nothing")
        depth += 1
        kind = next(iter(node), "")
        content = node.get(kind)
        if kind == "ref":
            if content not in self.values:
                raise ValueError(f"{path} refers to {shown(content)}, which is not there")
            return self.values[content]
        if kind == "float":
            if content not in ("nan", "inf", "-inf"):
                raise ValueError(f"{path} is {shown(content)}, no number")
            return float(content)
        if kind == "scalar":
            return self._array(content, path)[()]
        if kind == "tuple":
            return tuple(
                self.value(n, f"{path}.{i}", depth) for i, n in enumerate(_list(content, path))
            )
        number = node.get("id")
        if type(number) is not int or number in self.values:
            raise ValueError(f"{path} has the id {shown(number)}, no new number")
        if kind == "array":
            self.values[number] = self._array(content, path)
        elif kind == "tensor":
            self.values[number] = self._tensor(content, path)
        elif kind == "generator":
            self.values[number] = self._generator(content, path, depth)
        elif kind == "list":
            items = self.values[number] = []
            for i, n in enumerate(_list(content, path)):
                items.append(self.value(n, f"{path}.{i}", depth))
        elif kind == "dict":
            self.values[number] = {}
            self.values[number].update(self._items(content, path, depth))
        elif kind == "object":
            self._object(number, content, node.get("attributes"), path, depth)
        else:
            raise ValueError(f"{path} is of the kind {shown(kind)}, which is unknown")
        return self.values[number]

    def _items(self, content: Any, path: str, depth: int) -> dict[str, Any]:
        items = _dict(content, path)
        return {key: self.value(node, f"{path}.{key}", depth) for key, node in items.items()}

    def _array(self, content: Any, path: str) -> Array:
        entry = _dict(content, path)
        name, dtype = entry.get("name"), entry.get("dtype")
        if not isinstance(name, str) or name not in self.arrays or name in self.used:
            raise ValueError(f"{path} is the array {shown(name)}, which is missing or used twice")
        if not isinstance(dtype, str) or dtype[1:] not in _DTYPES or dtype[0] not in "<>|=":
            raise ValueError(f"{path} has the dtype {shown(dtype)}")
        self.used.add(name)
        array = self.arrays[name]
        if array.dtype.str[1:] != dtype[1:]:
            raise ValueError(f"{path} is of {dtype}, its array of {array.dtype}")
        return np.array(array, dtype)

    def _tensor(self, content: Any, path: str) -> Tensor:
        entry = _dict(content, path)
        name, requires_grad = entry.get("name"), entry.get("requires_grad")
        if not isinstance(requires_grad, bool) or not isinstance(name, str | None):
            raise ValueError(f"{path} is no Tensor: {shown(content)}")
        value = self._array(entry.get("value"), path)
        if requires_grad and value.dtype.kind != "f":
            raise ValueError(f"{path} holds {value.dtype}, and cannot have a gradient")
        return Tensor(value, requires_grad, name=name)

    def _generator(self, content: Any, path: str, depth: int) -> np.random.Generator:
        entry = _dict(content, path)
        if entry.get("kind") not in _GENERATORS:
            raise ValueError(f"{path} is of the kind {shown(entry.get('kind'))}, no generator")
        seed = self._items(entry.get("seed"), f"{path}.seed", depth)
        state = self._items(entry.get("state"), f"{path}.state", depth)
        try:
            sequence = np.random.SeedSequence(**seed) if seed else None
            bits = getattr(np.random, entry["kind"])(sequence)
            bits.state = state
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{path} has no state of a generator: {error}") from None
        return np.random.Generator(bits)

    def _object(self, number: int, name: Any, content: Any, path: str, depth: int) -> None:
        cls = self._class(name, path)
        made: Any = object.__new__(cls)
        self.values[number] = made
        for key in _dict(content, path):
            inherited = getattr(cls, key, None)
            if callable(inherited) or isinstance(inherited, property) or key.startswith("__"):
                raise ValueError(f"{path} would replace the {key} of {cls.__name__}")
        # Not by setattr, which a class may refuse (a frozen one) or answer with more work.
        vars(made).update(self._items(content, path, depth))

    def _class(self, name: Any, path: str) -> type:
        if isinstance(name, str):
            if name in self.classes:
                return self.classes[name]
            for home in _HOMES:
                module = _home(home)
                found = getattr(module, name, None) if name in module.__all__ else None
                if isinstance(found, type):
                    return found
        raise TypeError(
            f"{path} is of the class {shown(name)}, which tinygrad_ce does not have: if it is "
            "yours, give it, as in load(path, classes=[MyModule])"
        )


def _list(content: Any, path: str) -> list[Any]:
    if not isinstance(content, list):
        raise ValueError(f"{path} is {shown(content)}, no list")
    return content


def _dict(content: Any, path: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"{path} is {shown(content)}, no set of attributes")
    return content


def _home(name: str) -> Any:
    try:
        return import_module(f"tinygrad_ce.{name}")
    except ModuleNotFoundError:
        return _Nothing


class _Nothing:
    __all__: tuple[str, ...] = ()


def _metadata(raw: bytes) -> dict[str, str]:
    """The texts of a safetensors file, whose structure has been checked."""
    length = int.from_bytes(raw[:8], "little")
    found: dict[str, str] = json.loads(raw[8 : 8 + length]).get("__metadata__") or {}
    return found


def _versions() -> dict[str, str]:
    try:
        own = metadata.version("tinygrad-ce")
    except metadata.PackageNotFoundError:
        own = "unknown"
    return {"tinygrad_ce": own, "numpy": np.__version__, "python": platform.python_version()}


def _safetensors() -> Any:
    try:
        import_module("safetensors.numpy")
        return import_module("safetensors")
    except ImportError:
        raise ImportError(
            "checkpoints are written by safetensors, which is not installed: "
            'pip install "tinygrad-ce[checkpoint]", or pip install ".[all]" in a checkout'
        ) from None
