"""The weights of a trained network alone, for frameworks that build the network themselves."""

from __future__ import annotations

import io
import json
from importlib import import_module

from ..nn import Checkpoint, to_torch
from .prediction import prediction_of


def torch_file(checkpoint: Checkpoint) -> bytes:
    """Return what `torch.save` writes of the state dict of the network, by `to_torch`.

    Raises
    ------
    ImportError
        PyTorch is not installed.
    """
    state = to_torch(checkpoint.model)
    content = io.BytesIO()
    import_module("torch").save(state, content)
    return content.getvalue()


def safetensors_file(checkpoint: Checkpoint) -> bytes:
    """Return the arrays of the network's state dict as a file of safetensors.

    Its texts are, as JSON, `classes`; `columns`, the names of the numbers that the network takes;
    and their `mean` and `std`, by which they are standardized.

    Raises
    ------
    ImportError
        safetensors is not installed.
    """
    try:
        save = import_module("safetensors.numpy").save
    except ImportError:
        raise ImportError(
            'safetensors is not installed: pip install "tinygrad-ce[checkpoint]"'
        ) from None
    prediction = prediction_of(checkpoint)
    standardizer = prediction.standardizer
    texts: dict[str, object] = {
        "classes": prediction.class_names,
        "columns": checkpoint.encoder.feature_names,
    }
    if standardizer is not None and standardizer.mean is not None:
        texts |= {"mean": standardizer.mean.tolist(), "std": standardizer.std.tolist()}  # type: ignore[union-attr]
    written = {name: json.dumps(value, ensure_ascii=False) for name, value in texts.items()}
    content: bytes = save(checkpoint.model.state_dict(), written)
    return content
