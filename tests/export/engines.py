"""Inference engines, each as a function from a file to a function from inputs to outputs."""

from importlib.util import find_spec

import numpy as np

from fcnn import tree


def onnxruntime(path):
    import onnxruntime as library

    options = library.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = library.InferenceSession(path, options)
    names = [each.name for each in session.get_inputs()]
    return lambda x: session.run(None, dict(zip(names, tree.leaves(x), strict=True)))


def openvino(path):
    import openvino as library

    core = library.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    model = core.compile_model(core.read_model(path), "CPU", options)

    def run(x):
        found = model(tree.leaves(x))
        return [np.array(found[each]) for each in model.outputs]

    return run


def opencv(path):
    import cv2
    import onnx

    graph, net = onnx.load(path).graph, cv2.dnn.readNetFromONNX(path)

    def run(x):
        for each, array in zip(graph.input, tree.leaves(x), strict=True):
            net.setInput(np.ascontiguousarray(array), each.name)
        return net.forward([each.name for each in graph.output])

    return run


def tract(path):
    import tract as library

    model = library.onnx().load(path).into_model().into_runnable()
    return lambda x: [each.to_numpy() for each in model.run(tree.leaves(x))]


PACKAGES = {onnxruntime: "onnxruntime", openvino: "openvino", opencv: "cv2", tract: "tract"}
INSTALLED = [engine for engine, package in PACKAGES.items() if find_spec(package)]
