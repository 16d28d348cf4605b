"""Data-parallel training: batches in shards, whose gradients several processes compute.

A batch is cut into a fixed number of shards. Each process computes the gradients of its share of
them, and they are summed in pairs, the sums again in pairs, and so on: in an order that depends on
the number of shards alone. So weights, optimizer and history are the same, bit for bit, on 1, 2, 4
or more processes.

    mpiexec -n 4 python -m mpi4py script.py

Started without mpiexec, the same script computes the same in one process, and needs no MPI:

>>> from tinygrad_ce import data, nn, optim, train
>>> X, y, names = data.iris()
>>> model = nn.MLP([4, 16, 3], rng=0)
>>> optimizer = optim.Adam(model.parameters(), lr=0.01)
>>> shards = Shards(4)
>>> history = train.fit(model, optimizer, X, y, epochs=20, batch_size=32, rng=0, shards=shards)
>>> history.accuracy[-1] > 0.9
True

In a loop of one's own, `ShardedGradients` takes the place of forward and backward:

>>> compute_gradients = ShardedGradients(model, shards)
>>> for X_batch, y_batch in data.minibatches(X, y, 32, rng=0):
...     loss = compute_gradients(X_batch, y_batch)
...     optimizer.step()
>>> if shards.rank == 0:  # each process has the whole model, and one of them says so
...     print(f"{shards.n} shards on {shards.size} process")
4 shards on 1 process
"""

from __future__ import annotations

import math
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, pairwise, repeat
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from . import functional as F
from . import nn, optim
from .arguments import as_numbers, check_callable, check_integer, check_kind
from .engine.commit import clear_gradients, commit
from .engine.tensor import Tensor, as_tensor, set_values
from .train import Training
from .train.means import Array, Loss, compute_mean, total_weight, with_known_weight
from .train.steps import Compilable, Step, check_finite, count_batches

__all__ = ["connect", "Shards", "ShardedGradients"]


def __dir__() -> list[str]:
    return __all__


Item = TypeVar("Item")
Result = TypeVar("Result")

# What mpiexec tells the processes that it starts: MPICH and its relatives, Open MPI, others.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")
SHARDS = 8  # unless another number is asked for
PATIENCE = 0.5  # seconds in which processes that fail for one reason all do


# ── Processes ─────────────────────────────────────────────────────────────────────────────────────


class OneProcess:
    """What a communicator of mpi4py does, for a process on its own."""

    rank, size = 0, 1

    def allgather(self, value: Item) -> list[Item]:
        """Return the values of all processes."""
        return [value]

    def bcast(self, value: Item) -> Item:
        """Return the value of the first process."""
        return value


def connect() -> Any:
    """Return the communicator of all processes that mpiexec has started, or of this one alone.

    Returns
    -------
    mpi4py.MPI.Comm or OneProcess
        Its `rank` is the number of this process, and its `size` that of all; `bcast(value)`
        returns the first one's value in all, and `allgather(value)` a list of all values.

    Raises
    ------
    ImportError
        mpiexec has started this process, and mpi4py or the MPI library is not installed.
    RuntimeError
        mpiexec has started several processes without mpi4py's runner, so that an error in one
        would leave the others waiting forever; or it belongs to another MPI than mpi4py uses.

    >>> connect().size
    1
    """
    if _from_environment(RANKS) is None and "mpi4py.MPI" not in sys.modules:
        return OneProcess()
    comm = _load_mpi().COMM_WORLD
    started = _from_environment(SIZES) or comm.size
    if comm.size == 1 < started:
        raise RuntimeError(
            f"mpiexec has started {started} processes, and for mpi4py each of them is alone: it "
            "uses another MPI than this mpiexec is of; see python -m mpi4py --mpi-lib-version"
        )
    if comm.size > 1 and "mpi4py.run" not in {*sys.modules, *sys.orig_argv}:
        raise RuntimeError(
            "several processes need mpi4py's runner, or an error in one would leave the others "
            f"waiting forever: start them by mpiexec -n {comm.size} python -m mpi4py script.py, "
            "or with -m tinygrad_ce train … in place of script.py"
        )
    return comm


def _from_environment(names: Iterable[str]) -> int | None:
    found = (os.environ.get(name, "") for name in names)
    return next((int(text) for text in found if text.isdecimal()), None)


def _load_mpi() -> Any:
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            'several processes need mpi4py: pip install "tinygrad-ce[mpi]", '
            'or pip install ".[mpi]" in a checkout'
        ) from error
    except RuntimeError as error:
        raise ImportError(
            "mpi4py finds no MPI library: install Open MPI or MPICH, or pip install mpich; "
            f"{'; '.join(str(error).splitlines())}"
        ) from error
    return MPI


def report(line: str) -> None:
    """Print on stderr what has failed, once if it has failed in all processes for one reason.

    The first process prints at once. Another one prints if not all fail within `PATIENCE`.
    """
    comm = _started_together()
    if comm.rank == 0:
        print(line, file=sys.stderr, flush=True)
    if comm.size == 1:
        return
    all_failed, end = comm.Ibarrier(), time.monotonic() + PATIENCE
    while not all_failed.Test():
        if time.monotonic() > end:
            if comm.rank:
                print(f"{line} (in process {comm.rank})", file=sys.stderr, flush=True)
            return
        time.sleep(0.01)


def _started_together() -> Any:
    """The communicator of the processes that do one work; others may be started together, too."""
    if not {"mpi4py.MPI", "mpi4py.run"} & {*sys.modules}:
        return OneProcess()
    try:
        return _load_mpi().COMM_WORLD
    except ImportError:
        return OneProcess()


# ── Shards ────────────────────────────────────────────────────────────────────────────────────────


class Shards:
    """The parts of each batch, and the processes that compute them.

    Parameters
    ----------
    n
        The number of shards, a power of two. What is computed depends on it, and not on the number
        of processes, which is a power of two as well, n at most.
    comm
        A communicator of mpi4py; by default, of all processes that mpiexec has started.

    Attributes
    ----------
    n
        The number of shards.

    Raises
    ------
    ValueError
        n is no power of two, is not the same in all processes, or does not fit their number.
    ImportError, RuntimeError
        As `connect`.

    >>> shards = Shards(4)
    >>> shards.rank, shards.size
    (0, 1)
    >>> shards.gather("what this process knows")
    ['what this process knows']
    """

    def __init__(self, n: int = SHARDS, comm: Any = None) -> None:
        self.comm = connect() if comm is None else comm
        self.n = check_shards(n, self.size)
        if len({*self.gather(self.n)}) > 1:
            raise ValueError(
                f"the number of shards is the same in all processes: got {self.gather(self.n)}"
            )
        # Kept from step to step, as the system gives new memory page by page.
        self._sent, self._received = np.empty((2, 0), np.uint8)

    @property
    def rank(self) -> int:
        """The number of this process, from 0 on."""
        return int(self.comm.rank)

    @property
    def size(self) -> int:
        """The number of processes."""
        return int(self.comm.size)

    @property
    def _own(self) -> range:
        """The numbers of the shards that this process computes."""
        share = self.n // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def _boundaries(self, n_rows: int) -> list[int]:
        """Return where the shards of a batch begin, and where the last one ends."""
        return [i * n_rows // self.n for i in range(self.n + 1)]

    def gather(self, value: Item) -> list[Item]:
        """Return what the processes give, in the order of their ranks."""
        gathered: list[Item] = self.comm.allgather(value)
        return gathered

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return the results for all items, each computed by one of the processes."""
        results = self.gather([function(item) for item in items[self.rank :: self.size]])
        return [results[i % self.size][i // self.size] for i in range(len(items))]

    def _sum_in_pairs(self, arrays: Iterable[list[Array]]) -> list[Array]:
        """Return the sums of what the shards have: in pairs, and so in an order that is fixed.

        Parameters
        ----------
        arrays
            Of each shard of this process, in their order: arrays, of the same shapes in all.
        """
        total = _add_up(arrays)
        distance = 1
        while distance < self.size:
            total = _add(total, self._exchange(total, self.rank ^ distance))
            distance *= 2
        return total

    def _exchange(self, arrays: list[Array], other: int) -> list[Array]:
        """Give arrays to another process, and return its own, until the next exchange."""
        parts = [np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in arrays]
        ends = np.cumsum([len(part) for part in parts])
        if len(self._sent) != ends[-1]:
            self._sent, self._received = np.empty((2, ends[-1]), np.uint8)
        np.concatenate(parts, out=self._sent)
        self.comm.Sendrecv(self._sent, other, recvbuf=self._received, source=other)
        found = zip(np.split(self._received, ends[:-1]), arrays, strict=True)
        return [part.view(a.dtype).reshape(a.shape) for part, a in found]

    def check_replicas(self, tensors: Iterable[Tensor], rng: np.random.Generator) -> None:
        """Raise a RuntimeError if weights or the generator of the order differ in processes."""
        if self.size == 1:
            return
        checksum = 0
        for tensor in tensors:
            checksum = zlib.crc32(tensor.data.tobytes(), checksum)
        found = self.gather((checksum, str(rng.bit_generator.state)))
        for rank, (weights, state) in enumerate(found):
            if (weights, state) != found[0]:
                what = "weights" if weights != found[0][0] else "an order of rows"
                raise RuntimeError(
                    f"process {rank} has {what} that process 0 has not: all have to begin with the "
                    "same model, rows and seeds"
                )

    def make_step(
        self, training: Training, loss: Loss, max_norm: float | None, compile: bool | str | None
    ) -> Step:
        """Return the step of a training that computes batches in shards."""
        return _ShardedStep(self, training, loss, max_norm, compile)


def check_shards(n: int, size: int) -> int:
    """Return a number of shards that fits a number of processes."""
    n = check_integer("the number of shards", n, 1)
    if n & (n - 1):
        raise ValueError(f"the number of shards is a power of two, such as 8: got {n}")
    if size & (size - 1) or size > n:
        powers = [str(2**i) for i in range(n.bit_length())]
        raise ValueError(
            f"{size} processes do not fit {n} shards, which are computed by "
            f"{', '.join(powers[:-1])} or {powers[-1]}"
            if n > 1
            else f"{size} processes do not fit a single shard"
        )
    return n


def check_batch(n_rows: int, n: int) -> None:
    """Refuse a batch that has no row for some of its n shards."""
    if n_rows < n:
        raise ValueError(
            f"a batch of {n_rows} rows cannot be cut into {n} shards: choose larger batches, or "
            "fewer shards"
        )


def _add_up(summands: Iterable[list[Array]]) -> list[Array]:
    """Sums of arrays, of pairs and of pairs of pairs: no more than log n of them are held."""
    sums: list[tuple[int, list[Array]]] = []  # the number of summands of each, and the sum
    for arrays in summands:
        sums.append((1, arrays))
        while len(sums) > 1 and sums[-1][0] == sums[-2][0]:
            (count, right), (_, left) = sums.pop(), sums.pop()
            sums.append((2 * count, _add(left, right)))
    ((_, total),) = sums
    return total


def _add(left: list[Array], right: list[Array]) -> list[Array]:
    return [a + b for a, b in zip(left, right, strict=True)]


# ── Gradients ─────────────────────────────────────────────────────────────────────────────────────


class ShardedGradients:
    """Computes the gradients of the mean loss of a batch, in shards, by all processes.

    Parameters
    ----------
    model
        Maps rows (n, ...) to logits (n, C); the same in all processes.
    shards
        In how many parts to compute a batch.
    loss
        Maps logits and targets to their mean loss, as the losses of `functional` and `nn` do, or to
        the loss of each row. By default, the cross-entropy.
    compile
        Whether to compile what is done for a shard, "numpy" or "c" for a backend.
    params
        Further Tensors that want a gradient, besides the parameters of the model.

    Raises
    ------
    ValueError
        At a call: the model has a layer that needs the whole batch, as BatchNorm1d does; or a loss
        of one's own does not leave the rows apart.

    Notes
    -----
    Called with rows, targets and perhaps a weight for each row, it assigns to each parameter's
    `.grad` the gradient of the loss of the whole batch, and returns that loss, a float. Of a batch
    with class weights, ignored rows or weights of rows, the mean is the weighted one, as without
    shards.

    Dropout draws for each shard apart: from a seed that the layer's generator gives at each call,
    and the number of the shard. A generator that is no attribute of a layer is not looked after.

    >>> X, y = np.float32([[1, 2], [3, 4], [5, 6]]), np.array([0, 1, 1])
    >>> model = nn.Linear(2, 2, rng=0)
    >>> compute_gradients = ShardedGradients(model, Shards(2))
    >>> loss = compute_gradients(X, y)
    >>> whole = F.cross_entropy(model(X), y)
    >>> bool(np.isclose(loss, whole.item()))
    True
    >>> found = model.bias.grad
    >>> whole.backward()  # which adds its own
    >>> np.allclose(2 * found, model.bias.grad)
    True
    """

    def __init__(
        self,
        model: nn.Module,
        shards: Shards,
        loss: Loss = F.cross_entropy,
        compile: bool | str | None = False,
        params: Iterable[Tensor] = (),
    ) -> None:
        self.model = check_kind("model", model, nn.Module)
        self.shards = check_kind("shards", shards, Shards)
        self.loss = check_callable("loss", loss)
        own = {id(p): p for p in chain(model.parameters(), params)}
        self.params = [*own.values()]
        of_shard = with_known_weight(loss)

        def compute(X: Any, y: Any, weight: Any, share: Any) -> Tensor:
            value = compute_mean(of_shard, self.model(as_tensor(X)), y, weight)
            value.backward(share)
            return value

        self.of_shard = Compilable(compute, compile)

    def __call__(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Assign the gradients of a batch, and return its mean loss."""
        X, y = as_numbers(X, "X", copy=None), as_numbers(y, "y", copy=None)
        weight = None
        if sample_weight is not None:
            weight = as_numbers(sample_weight, "sample_weight", np.float64)
        for name, array in (("y", y), ("sample_weight", weight)):
            if array is not None and array.shape[:1] != X.shape[:1]:
                raise ValueError(f"X has shape {X.shape}, and {name} {array.shape}: not one a row")
        return self._of_batch(X, y, weight, np.arange(len(X)))

    def _of_batch(self, X: Array, y: Array, weight: Array | None, batch: Array) -> float:
        """Assign the gradients of some rows, by their numbers, and return their mean loss."""
        self._refuse_batch_norm()
        targets, weights = y[batch], None if weight is None else weight[batch]
        whole = total_weight(self.loss, targets, weights)
        boundaries = self.shards._boundaries(len(batch))

        def compute_shards() -> Iterator[list[Array]]:
            for i in self.shards._own:
                rows = batch[boundaries[i] : boundaries[i + 1]]
                seed_generators(i)
                yield self._compute(X, y, weight, rows, whole)

        with _seeded(_generators(self.model)) as seed_generators, self._constant_state():
            head, *gradients = self.shards._sum_in_pairs(compute_shards())
        values = [g[()] if count else None for g, count in zip(gradients, head[1:], strict=True)]
        commit(map(setattr, self.params, repeat("_grad"), values))
        return float(head[0])

    def _compute(
        self, X: Array, y: Array, weight: Array | None, rows: Array, whole: float
    ) -> list[Array]:
        """What a shard adds: to the loss, with which parameters have a gradient; and to those."""
        clear_gradients(self.params)
        loss, share = 0.0, 0.0
        if len(rows):
            targets, weights = y[rows], None if weight is None else weight[rows]
            share = total_weight(self.loss, targets, weights) / whole if whole else math.nan
        if share:  # or else all of its rows are ignored, and have no mean
            value = self.of_shard(len(rows), X[rows], targets, weights, np.float64(share))
            loss = share * value.item()
        found = [p._grad for p in self.params]
        head = np.array([loss, *(g is not None for g in found)], np.float64)
        gradients = [
            np.zeros(p.shape, p.dtype) if g is None else np.asarray(g)
            for g, p in zip(found, self.params, strict=True)
        ]
        return [head, *gradients]

    def _refuse_batch_norm(self) -> None:
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm1d) and module.training:
                raise ValueError(_WHOLE_BATCH.format(f"{module._describe()} normalizes"))

    @contextmanager
    def _constant_state(self) -> Iterator[None]:
        """Refuse a model that keeps a record of the rows that it has seen, as running averages."""
        state = [t for _, t in self.model._named_tensors() if not t.requires_grad]
        before = [t._value for t in state]
        yield
        for tensor, value in zip(state, before, strict=True):
            if tensor._value is not value:
                set_values(state, before)
                raise ValueError(_WHOLE_BATCH.format(f"{tensor.label()} changes"))


_WHOLE_BATCH = (
    "{} with the rows of the batch, and a shard has only some of them: use LayerNorm, which looks "
    "at each row by itself, or train in one process without shards"
)


def _generators(model: nn.Module) -> list[np.random.Generator]:
    """The random generators of a model's layers, each once."""
    found: dict[int, np.random.Generator] = {}
    todo: list[Any] = [[*vars(module).values()] for module in model.modules()]
    while todo:
        value = todo.pop(0)
        if isinstance(value, np.random.Generator):
            found.setdefault(id(value.bit_generator), value)
        elif isinstance(value, list | tuple | dict):
            todo += value.values() if isinstance(value, dict) else value
    return [*found.values()]


@contextmanager
def _seeded(generators: list[np.random.Generator]) -> Iterator[Callable[[int], None]]:
    """Yield what seeds generators for a shard. Once all is done they have moved on by one draw."""
    drawn = [int(generator.integers(2**63)) for generator in generators]
    states = [generator.bit_generator.state for generator in generators]

    def seed(shard: int) -> None:
        for generator, number in zip(generators, drawn, strict=True):
            other = type(generator.bit_generator)(np.random.SeedSequence([number, shard]))
            generator.bit_generator.state = other.state

    try:
        yield seed
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.bit_generator.state = state


class _ShardedStep(Step):
    """A step of a training: gradients in shards, and the update in each process."""

    def __init__(
        self,
        shards: Shards,
        training: Training,
        loss: Loss,
        max_norm: float | None,
        compile: bool | str | None,
    ) -> None:
        self.training = training
        self.shards = shards
        optimizer = training.optimizer
        self.gradients = ShardedGradients(training.model, shards, loss, compile, optimizer.params)

        def update() -> None:
            if max_norm is not None:
                optim.clip_grad_norm_(optimizer.params, max_norm)
            optimizer.step()

        self.update = Compilable(update, compile)

    def expect(self, n: int, batch_size: int, epochs: int) -> None:
        """Be told how many rows an epoch has, and how many epochs there will be."""
        check_batch(min(n, batch_size), self.shards.n)
        batches = count_batches(n, batch_size, epochs)
        shards: Counter[int] = Counter()
        for rows, count in batches.items():
            for start, end in pairwise(self.shards._boundaries(rows)):
                shards[end - start] += count
        self.gradients.of_shard.expect(shards)
        self.update.expect({0: batches.total()})

    def __call__(self, X: Array, y: Array, weight: Array | None, batch: Array) -> float:
        """Take a step on some rows, and return the loss before it, if that is finite."""
        value = self.gradients._of_batch(X, y, weight, batch)
        check_finite(value, self.training)
        self.update(0)
        return value
