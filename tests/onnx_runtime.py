"""Files of ONNX, run by ONNX Runtime."""

import numpy as np
import onnxruntime


def session(content, threads=1):
    """A session of ONNX Runtime for the bytes or the path of a file."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # an input with a default is no constant, as it should be
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    source = content if isinstance(content, bytes) else str(content)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(content, *inputs, **more):
    """The outputs by name, for inputs in their order and by name."""
    runner = content if hasattr(content, "run") else session(content)
    names = [x.name for x in runner.get_inputs()]
    given = dict(zip(names, map(np.asarray, inputs), strict=False)) | more
    outputs = [x.name for x in runner.get_outputs()]
    return dict(zip(outputs, runner.run(None, given), strict=True))
