"""A trained network with its treatment of data as a file of ONNX: an input for each column."""

from __future__ import annotations

import json

import numpy as np

from ..engine.names import printable
from ..nn import Checkpoint
from .onnx_files import Writer
from .onnx_graph import Graph, Value, onnx
from .prediction import Column, Prediction, prediction_of
from .recorded import Length

N = Length(1)
TEXT = np.dtype("O")


def dumps_prediction(checkpoint: Checkpoint) -> bytes:
    """Return a file of ONNX that predicts as a checkpoint does.

    For each column of the table, it has an input (N,): numbers, float64, with nan where a cell is
    missing; or texts, with "" or "NA". Its outputs are `probabilities` (N, C), and `prediction`
    (N,), the names of classes. A row with a cell that is refused elsewhere, such as an unknown
    category, has nan for probabilities and "" for a class, as ONNX has no errors.

    Parameters
    ----------
    checkpoint
        With an encoder, as `tinygrad-ce train` makes it.

    Raises
    ------
    ImportError
        onnx is not installed.
    ValueError, RecordingError
        As `tinygrad_ce.onnx.export`.
    """
    onnx()
    prediction = prediction_of(checkpoint)
    recorded = prediction.record()
    writer = Writer(prediction.names)
    graph = writer.graph
    cells = [
        graph.input(c.name, np.float64 if c.categories is None else TEXT, [N])
        for c in prediction.columns
    ]
    blocks = [_encoded(graph, *pair) for pair in zip(prediction.columns, cells, strict=True)]
    rows = graph.Concat(*blocks, axis=1) if len(blocks) > 1 else blocks[0]
    writer.write(recorded, lambda ref: False, dict.fromkeys(recorded.arguments.values(), rows))
    (result,) = recorded.results.values()
    probabilities = writer.values[result]
    graph.output(probabilities, "probabilities", result.shape)
    graph.output(_class_names(graph, prediction, probabilities), "prediction", [N])
    texts = {"class_names": json.dumps(prediction.class_names, ensure_ascii=False)}
    return graph.model(type(prediction.model).__name__, texts)


def _encoded(graph: Graph, column: Column, cells: Value) -> Value:
    """The numbers for a column, (N, width) float64."""
    graph.scope = f"{printable(column.name)}/"
    if column.categories is None:
        missing = graph.IsNaN(cells)
        values = graph.Unsqueeze(cells, graph.integers([1]))
        known = ~missing
    else:
        missing = (cells == graph.constant(np.array(""))) | (
            cells == graph.constant(np.array("NA"))
        )
        texts = graph.Unsqueeze(cells, graph.integers([1]))
        same = texts == graph.constant(np.array([column.categories]))
        values = same.astype(np.float64)
        known = graph.ReduceMax(values, graph.integers([1]), keepdims=0) > 0
    extra = column.width - len(column.categories or "1")
    if extra:
        values = graph.Pad(values, graph.integers([0, 0, 0, extra]))
    if column.missing is not None:
        filled = graph.constant(np.array([column.missing], np.float64))
        values = graph.Where(graph.Unsqueeze(missing, graph.integers([1])), filled, values)
        known = known | missing
    elif column.categories is None:
        return values  # in which nan is nan already
    return graph.Where(graph.Unsqueeze(known, graph.integers([1])), values, np.nan)


def _class_names(graph: Graph, prediction: Prediction, probabilities: Value) -> Value:
    """The most probable class; nothing where the probabilities are nan."""
    graph.scope = ""
    names = graph.constant(np.array([*prediction.class_names, ""]))
    best = graph.ArgMax(probabilities, axis=1, keepdims=0)
    unknown = graph.IsNaN(graph.ReduceSum(probabilities, graph.integers([1]), keepdims=0))
    place = graph.Where(unknown, len(prediction.class_names), best)
    return graph.Gather(names, place, axis=0)
