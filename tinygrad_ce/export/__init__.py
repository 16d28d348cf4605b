"""Exports: a model, a training step or a trained network as a file that runs elsewhere.

Each reads the recorded program (`..compiler`):

* `recorded` records a step at several sizes of the batch, and finds the numbers that depend on it.
* `onnx_graph` writes nodes of ONNX, `onnx_primitives` says which nodes each primitive is, and
  `onnx_files` makes files of models and training steps; its public name is `tinygrad_ce.onnx`.
* `prediction` is a trained network with its treatment of data. `onnx_prediction` writes it as ONNX,
  `modules` as a module of NumPy and as C, printed by the compiler, and `weights` for PyTorch and
  safetensors, the weights alone. `templates` has what goes around the network in NumPy and C.
"""
