"""Files of ONNX: a model that predicts, and a training step with all that it changes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..arguments import check_callable, check_flag
from ..atomic_files import check_path, write_file
from ..compiler.guards import StateRef
from ..compiler.ir import Op
from ..engine.array_types import Array
from ..engine.names import printable
from ..nn import Module
from ..optim.state import Stateful
from .onnx_graph import Graph, Value, onnx
from .onnx_primitives import UnsupportedError, computed_in, write
from .recorded import (
    Counted,
    Length,
    Recorded,
    Repeated,
    constant_of,
    evaluating,
    record_for_any_batch,
)


def export(
    model: Callable[..., Any], path: str | Path, example: Any, *, fixed_batch: bool = False
) -> None:
    """Write a model as a file of ONNX, as a whole or not at all.

    Parameters
    ----------
    model
        A Module, which is exported in evaluation mode, or a function of Tensors. Its outputs are
        the Tensors that it returns: those in a dict have its keys as names, others their own.
    path
        The file; its name usually ends in .onnx.
    example
        An input, or a tuple of several: arrays (N, ...) with one row or more, in the dtype of the
        inputs to come. Inputs that are as long as the first one hold a batch too.
    fixed_batch
        Keep the size of the batch. Left out, the model is recorded at several sizes, and takes
        batches of any size.

    Raises
    ------
    ImportError
        onnx is not installed.
    ValueError
        The model has a primitive or a dtype that an export cannot carry, or depends on the size of
        the batch in an unusual way.
    RecordingError
        The model computes outside of Tensors, draws random numbers, or changes its state.
    OSError
        The file cannot be written.

    Notes
    -----
    Checks are left out, as ONNX has no errors: what a label out of range gives is up to the
    runtime.

    >>> from pathlib import Path
    >>> from tinygrad_ce import nn, onnx
    >>> path = Path(getfixture("tmp_path")) / "model.onnx"
    >>> onnx.export(nn.MLP([4, 16, 3], rng=0), path, np.zeros((1, 4), np.float32))
    >>> path.exists()
    True
    """
    target = check_path(path)
    write_file(target, dumps(model, example, fixed_batch))


def dumps(model: Callable[..., Any], example: Any, fixed_batch: bool = False) -> bytes:
    """Return what `export` writes."""
    onnx()
    check_callable("a model", model)
    check_flag("fixed_batch", fixed_batch)
    with evaluating(model):
        recorded = record_for_any_batch(called(model), _as_tuple(example), fixed_batch)
    if recorded.program.writes or recorded.program.settings:
        raise ValueError(
            f"{_name_of(model)} changes its state, which a file of a model would not: export it by "
            "export_step"
        )
    names = model._named_tensors() if isinstance(model, Module) else ()
    writer = Writer({id(tensor): name for name, tensor in names})
    writer.write(recorded, lambda ref: False)
    writer.write_results(recorded)
    return writer.graph.model(_name_of(model), {})


def export_step(
    step: Callable[..., Any], path: str | Path, *example: Any, fixed_batch: bool = False
) -> dict[str, Array]:
    """Write a whole training step as a file of ONNX: forward, backward and update.

    What the step reads outside and changes, such as parameters and the state of an optimizer, are
    inputs, with the values that they have now as defaults; so are the numbers of an optimizer,
    such as ``lr``. For an input ``weight``, the output ``new_weight`` is its value after the step,
    and ``grad_weight`` the gradient that is left in ``weight.grad``. Where a step adds to gradients
    that are there before, these are an input too, and the sum is ``new_grad_weight``.

    Parameters
    ----------
    step
        A function of arrays, as for `tg.compile`.
    path
        The file.
    example
        The arguments of the step, such as a batch of rows and one of labels.
    fixed_batch
        Keep the size of the batch.

    Returns
    -------
    dict
        The values that the inputs for state have now, by name: those of the first call. Nothing
        has been changed.

    Raises
    ------
    ImportError, ValueError, RecordingError, OSError
        As `export`.

    >>> from pathlib import Path
    >>> import tinygrad_ce as tg
    >>> from tinygrad_ce import onnx
    >>> p = tg.Tensor([1.0, 2.0], requires_grad=True, name="p")
    >>> optimizer = tg.optim.SGD([p], lr=0.1)
    >>> def step(x):
    ...     loss = (p * x).sum()
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return {"loss": loss}
    >>> path = Path(getfixture("tmp_path")) / "step.onnx"
    >>> onnx.export_step(step, path, np.ones(2), fixed_batch=True)
    {'p': array([1., 2.]), 'lr': array(0.1)}
    """
    target = check_path(path)
    onnx()
    check_callable("a step", step)
    check_flag("fixed_batch", fixed_batch)
    recorded = record_for_any_batch(step, example, fixed_batch)
    program = recorded.program
    if program.settings:
        names = ", ".join(printable(ref.describe()) for ref, _ in program.settings)
        raise ValueError(
            f"{_name_of(step)} assigns {names}, which is no array, and an export would not"
        )
    written = {ref.identity for ref, _ in program.writes}

    def is_input(ref: StateRef) -> bool:
        return ref.identity in written or isinstance(ref.owner, Stateful)

    writer = Writer({})
    state = writer.write(recorded, is_input)
    writer.write_results(recorded)
    writer.write_changes(recorded)
    write_file(target, writer.graph.model(_name_of(step), {}))
    return state


def called(model: Callable[..., Any]) -> Callable[..., Any]:
    """A call of a model, whose arguments have the names that `forward` gives them."""
    if not isinstance(model, Module):
        return model

    def call(*inputs: Any) -> Any:
        return model(*inputs)

    call.__name__ = type(model).__name__
    call.__signature__ = inspect.signature(model.forward)  # type: ignore[attr-defined]
    return call


def _as_tuple(example: Any) -> tuple[Any, ...]:
    if not isinstance(example, tuple):
        return (example,)
    if not example:
        raise ValueError("an example of an input, or a tuple of several: got an empty tuple")
    return example


def _name_of(function: Any) -> str:
    return printable(getattr(function, "__name__", type(function).__name__))


@contextmanager
def located(op: Op) -> Iterator[None]:
    """Let an error of what writes an operation say where in the model that is."""
    try:
        yield
    except UnsupportedError as error:
        where = f" at {printable(op.scope.path, 80)}" if op.scope is not None else ""
        what = f" in {printable(op.name)}" if op.name else ""
        raise ValueError(f"no export to ONNX{where}{what}: {error}") from None


class Writer:
    """Writes a recorded program into a graph.

    Parameters
    ----------
    names
        The names of Tensors, by id.
    """

    def __init__(self, names: dict[int, str]) -> None:
        self.graph = Graph()
        self.names = names
        self.values: dict[Op, Value] = {}
        self.inputs: dict[Any, str] = {}  # the names of inputs for state, by its identity

    def write(
        self,
        recorded: Recorded,
        is_input: Callable[[StateRef], bool],
        arguments: Mapping[Op, Value] = MappingProxyType({}),
    ) -> dict[str, Array]:
        """Write the operations, and return the values of the state that is an input.

        Parameters
        ----------
        recorded
            What to write.
        is_input
            Whether something that is read outside becomes an input; else it is a constant.
        arguments
            The results in the graph that are arguments; for all others, there will be inputs.
        """
        graph, needed = self.graph, recorded.needed
        self.values.update(arguments)
        for name, op in recorded.arguments.items():
            if op in self.values:
                continue
            with located(op):
                dtype = computed_in(op.dtype)
                self.values[op] = graph.input(name, op.dtype, op.shape).astype(dtype)
        state: dict[str, Array] = {}
        reads = [op for op in recorded.program.reads if op in needed and constant_of(op) is None]
        for op in sorted(reads, key=lambda op: op.state is None or op.state.attribute != "_value"):
            assert op.state is not None
            content = np.array(op.state.content, op.dtype)
            name = self.state_name(op.state)
            with located(op):
                dtype = computed_in(op.dtype)
            if is_input(op.state):
                value = graph.input(name, op.dtype, op.shape, content)
                self.inputs[op.state.identity] = value.name
                state[value.name] = content
            else:
                value = graph.constant(content, name)
            self.values[op] = value.astype(dtype)
        for op in recorded.program.ops:
            if op not in needed or op in self.values:
                continue
            graph.scope = f"{printable(op.scope.path, 80)}/" if op.scope is not None else ""
            with located(op):
                if op.primitive is None:
                    self.values[op] = self.constant(op)
                else:
                    self.values[op] = write(graph, op, [self.values[x] for x in op.inputs])
        graph.scope = ""
        return state

    def constant(self, op: Op) -> Value:
        """A constant, of which some depend on the size of the batch."""
        graph, data, dtype = self.graph, constant_of(op), computed_in(op.dtype)
        if isinstance(data, Length):
            return graph.Reshape(graph.length(data), graph.integers([])).astype(dtype)
        if isinstance(data, Repeated):
            return graph.expand(graph.constant(np.asarray(data.value, dtype)), data.shape)
        if isinstance(data, Counted):
            n = next(n for n in data.shape if isinstance(n, Length))
            counted = graph.arange(n, data.step)
            return counted if len(data.shape) == 1 else graph.reshape(counted, data.shape)
        return graph.constant(np.asarray(data, dtype))

    def state_name(self, ref: StateRef) -> str:
        """What is read outside: a parameter by its name, other state by that and the attribute."""
        if ref.attribute == "_value":
            return self.names.get(id(ref.owner)) or ref.owner.name or "state"
        if ref.attribute == "_grad":
            return f"grad_{self.parameter_name(ref.owner)}"
        if ref.key is None or ref.shared:
            return ref.attribute
        return f"{ref.attribute}_{self.parameter_name(ref.owner.params[ref.key])}"

    def parameter_name(self, parameter: Any) -> str:
        found = self.inputs.get(StateRef(parameter, "_value").identity)
        return found or parameter.name or "parameter"

    def write_results(self, recorded: Recorded) -> None:
        """Write what is returned as outputs."""
        for name, op in recorded.results.items():
            self.graph.output(self.values[op].astype(op.dtype), name, op.shape)

    def write_changes(self, recorded: Recorded) -> None:
        """Write the new values of state, and gradients, as outputs."""
        for ref, op in recorded.program.writes:
            if op is None:
                continue
            if ref.identity in self.inputs:
                name = f"new_{self.inputs[ref.identity]}"
            elif ref.attribute == "_grad":
                name = self.state_name(ref)
            elif ref.key is not None:  # a count that is the same as one with an input
                continue
            else:
                name = f"new_{self.state_name(ref)}"
            self.graph.output(self.values[op].astype(op.dtype), name, op.shape)
