"""Exports: a model or a training step as a file that runs elsewhere, without this package.

Each reads the recorded program (`..compiler`):

* `recorded` records a model at several sizes of the batch, and finds the numbers that depend on it.
* `onnx_graph` writes nodes of ONNX, `onnx_primitives` says which nodes each primitive is, and
  `onnx_files` makes a file of it; its public name is `tinygrad_ce.onnx`.
"""
