"""Models and training steps as files of ONNX, for other runtimes. Needs the extra ``onnx``.

>>> import numpy as np
>>> from tinygrad_ce import nn, onnx
>>> path = getfixture("tmp_path") / "model.onnx"
>>> onnx.export(nn.MLP([4, 16, 3], rng=0), path, np.zeros((1, 4), np.float32))
"""

from .export.onnx_files import export, export_step

__all__ = ["export", "export_step"]


def __dir__() -> list[str]:
    return __all__
