"""The engine: from arrays to derivatives. It imports NumPy and nothing above itself.

In the order of reading:

* primitives.py: the table of derivatives; kernels.py has the NumPy code that does not fit on a
  line, axes.py what is to be known of axes;
* graph.py: nodes, scopes, and their order;
* hooks.py and context.py: who may follow a computation, and in which mode it runs;
* backprop.py: gradients passed back;
* tensor.py: the class `Tensor`, and how a node is recorded;
* operations.py, random_sample.py: functions of several Tensors, and random numbers;
* linear_algebra.py: the second page of the table, matrices; reductions.py, rearranging.py,
  products.py, elementwise.py, constant_functions.py: what is composed of both pages;
* numpy_protocol.py, numpy_functions.py: NumPy's functions on Tensors;
* transforms.py: grad, vjp, jacobian, hessian; nan_detection.py: detect_nan.
"""

from .graph import FreedGraphError, topological_order
from .primitives import Primitive
from .tensor import Tensor, apply

__all__ = ["FreedGraphError", "Primitive", "Tensor", "apply", "topological_order"]
