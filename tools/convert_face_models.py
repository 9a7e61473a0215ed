"""Convert MediaPipe's face models from TensorFlow Lite to ONNX, once: the files in `backend/tracking/face_models`.

    python tools/convert_face_models.py [MEDIAPIPE_FOLDER]

It needs the packages mediapipe 0.10.21 (the last whose wheel carries the models), ai-edge-litert and onnx. Constants
(half floats, sparse weights) are read as TensorFlow Lite's own interpreter expands them. Tensors are kept channels
first, as ONNX wants them; inputs stay (1, H, W, 3), and what is reshaped is channels last again before that.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import TensorProto, helper, numpy_helper

TARGET = Path(__file__).parents[1] / "backend" / "tracking" / "face_models"
SOURCES = {
    "face_detection_short_range": "modules/face_detection/face_detection_short_range.tflite",
    "face_detection_full_range": "modules/face_detection/face_detection_full_range_sparse.tflite",
    "face_landmark": "modules/face_landmark/face_landmark.tflite",
    "iris_landmark": "modules/iris_landmark/iris_landmark.tflite",
}
OUTPUTS = {
    "face_detection_short_range": ("boxes", "scores"),
    "face_detection_full_range": ("boxes", "scores"),
    "face_landmark": ("landmarks", "presence"),
    "iris_landmark": ("contours", "iris"),
}
OPSET = 17
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_FOLDED = ("DEQUANTIZE", "DENSIFY")
"""Operators of constants."""


def main() -> None:
    """Convert all four and write their checksums."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(find_spec("mediapipe").origin).parent
    TARGET.mkdir(exist_ok=True)
    sums = {}
    for name, source in SOURCES.items():
        content = (folder / source).read_bytes()
        path = TARGET / f"{name}.onnx"
        onnx.save(Conversion(content, name).model(), path)
        converted = path.read_bytes()
        sums[path.name] = {"source": source, "source_sha256": _sha256(content), "sha256": _sha256(converted)}
        print(f"{path.name}: {len(converted):,} bytes")
    (TARGET / "checksums.json").write_text(json.dumps(sums, indent=2) + "\n")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Conversion:
    """One model.

    Args:
        content: of a .tflite file.
        name: of the ONNX graph.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        self.source = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        self.graph = self.source.subgraphs[0]
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.interpreter = Interpreter(
            model_content=content,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self.interpreter.allocate_tensors()
        self.interpreter.invoke()
        self.half = {i for i, tensor in enumerate(self.graph.tensors) if tensor.type == schema.TensorType.FLOAT16}
        self.names = dict(zip(self.graph.outputs, OUTPUTS[name], strict=True))
        self.constant = {i for i, t in enumerate(self.graph.tensors) if self.source.buffers[t.buffer].data is not None}

    def model(self) -> onnx.ModelProto:
        """The whole model in ONNX."""
        (image,) = self.graph.inputs
        inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, self._size(image))]
        self._add("Transpose", ["image"], image, perm=[0, 3, 1, 2])
        for operator in self.graph.operators:
            code = self.source.operatorCodes[operator.opcodeIndex]
            # Older files know the code as a byte alone.
            kind = _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
            if kind in _FOLDED:
                self.constant.add(operator.outputs[0])
                if operator.inputs[0] in self.half:
                    self.half.add(operator.outputs[0])
                continue
            convert: Callable = getattr(self, f"convert_{kind.lower()}")
            convert(operator, operator.outputs[0])
        outputs = []
        for i in self.graph.outputs:
            shape = self._size(i)
            if len(shape) == 4:
                shape = tuple(shape[axis] for axis in (0, 3, 1, 2))
            outputs.append(helper.make_tensor_value_info(self._name(i), TensorProto.FLOAT, shape))
        graph = helper.make_graph(self.nodes, self.name, inputs, outputs, self.initializers)
        # The file's version that the oldest supported runtimes read.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _name(self, i: int) -> str:
        return self.names.get(i, f"t{i}")

    def _size(self, i: int) -> tuple[int, ...]:
        """(N, H, W, C), as TensorFlow Lite has it."""
        return tuple(int(n) for n in self.graph.tensors[i].shape)

    def _add(self, kind: str, inputs: list[str], output: int | str, **attributes: object) -> None:
        name = output if isinstance(output, str) else self._name(output)
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))

    def _weights(self, i: int, change: Callable[[np.ndarray], np.ndarray] = lambda values: values) -> str:
        """A constant of the model as an initializer; what was stored in half floats still is."""
        values = np.ascontiguousarray(change(self.interpreter.get_tensor(i)))
        name = f"w{i}"
        if all(initializer.name not in (name, f"{name}_half") for initializer in self.initializers):
            if i in self.half and (values.astype(np.float16) == values).all():
                self.initializers.append(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
                self._add("Cast", [f"{name}_half"], name, to=TensorProto.FLOAT)
            else:
                self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def _value(self, i: int) -> str:
        return self._weights(i) if i in self.constant else self._name(i)

    def _activated(self, function: int, output: int) -> Callable[[str, list[str]], None]:
        """What adds a node whose output goes through a fused activation function."""

        def add(kind: str, inputs: list[str], **attributes: object) -> None:
            if function == schema.ActivationFunctionType.NONE:
                self._add(kind, inputs, output, **attributes)
                return
            if function != schema.ActivationFunctionType.RELU:
                raise ValueError(f"activation function {function} is not converted")
            self._add(kind, inputs, f"{self._name(output)}_linear", **attributes)
            self._add("Relu", [f"{self._name(output)}_linear"], output)

        return add

    def _window(self, options, source: int, output: int, kernel: tuple[int, int]) -> dict[str, list[int]]:
        """Strides and paddings of a convolution or a pooling."""
        strides = [options.strideH, options.strideW]
        pads = [0, 0, 0, 0]
        if options.padding == schema.Padding.SAME:
            for axis in range(2):
                before, after = self._size(source)[1 + axis], self._size(output)[1 + axis]
                missing = max((after - 1) * strides[axis] + kernel[axis] - before, 0)
                pads[axis], pads[2 + axis] = missing // 2, missing - missing // 2
        return {"kernel_shape": list(kernel), "strides": strides, "pads": pads}

    def convert_conv_2d(self, operator, output: int) -> None:
        options = operator.builtinOptions
        source, weights, bias = operator.inputs
        window = self._window(options, source, output, self._size(weights)[1:3])
        inputs = [self._name(source), self._weights(weights, lambda w: w.transpose(0, 3, 1, 2)), self._weights(bias)]
        self._activated(options.fusedActivationFunction, output)("Conv", inputs, **window)

    def convert_depthwise_conv_2d(self, operator, output: int) -> None:
        options = operator.builtinOptions
        source, weights, bias = operator.inputs
        window = self._window(options, source, output, self._size(weights)[1:3])
        inputs = [self._name(source), self._weights(weights, lambda w: w.transpose(3, 0, 1, 2)), self._weights(bias)]
        channels = self._size(source)[3]
        self._activated(options.fusedActivationFunction, output)("Conv", inputs, group=channels, **window)

    def convert_max_pool_2d(self, operator, output: int) -> None:
        options = operator.builtinOptions
        kernel = (options.filterHeight, options.filterWidth)
        window = self._window(options, operator.inputs[0], output, kernel)
        self._activated(options.fusedActivationFunction, output)("MaxPool", [self._name(operator.inputs[0])], **window)

    def convert_add(self, operator, output: int) -> None:
        inputs = [self._value(i) for i in operator.inputs]
        function = getattr(operator.builtinOptions, "fusedActivationFunction", schema.ActivationFunctionType.NONE)
        self._activated(function, output)("Add", inputs)

    def convert_relu(self, operator, output: int) -> None:
        self._add("Relu", [self._name(operator.inputs[0])], output)

    def convert_prelu(self, operator, output: int) -> None:
        source, slope = operator.inputs
        slopes = self._weights(slope, lambda values: values.reshape(-1, 1, 1))
        self._add("PRelu", [self._name(source), slopes], output)

    def convert_pad(self, operator, output: int) -> None:
        source, amounts = operator.inputs
        # (N, H, W, C) x (before, after)
        before, after = self.interpreter.get_tensor(amounts)[[0, 3, 1, 2]].T
        name = f"p{output}"
        self.initializers.append(numpy_helper.from_array(np.r_[before, after].astype(np.int64), name))
        self._add("Pad", [self._name(source), name], output)

    def convert_resize_bilinear(self, operator, output: int) -> None:
        options = operator.builtinOptions
        mode = "half_pixel" if options.halfPixelCenters else "align_corners" if options.alignCorners else "asymmetric"
        height, width = self._size(output)[1:3]
        channels = self._size(output)[3]
        name = f"s{output}"
        self.initializers.append(numpy_helper.from_array(np.array([1, channels, height, width], np.int64), name))
        inputs = [self._name(operator.inputs[0]), "", "", name]
        self._add("Resize", inputs, output, mode="linear", coordinate_transformation_mode=mode)

    def convert_depth_to_space(self, operator, output: int) -> None:
        size = operator.builtinOptions.blockSize
        self._add("DepthToSpace", [self._name(operator.inputs[0])], output, blocksize=size, mode="DCR")

    def convert_reshape(self, operator, output: int) -> None:
        last = f"{self._name(output)}_last"
        self._add("Transpose", [self._name(operator.inputs[0])], last, perm=[0, 2, 3, 1])
        name = f"s{output}"
        self.initializers.append(numpy_helper.from_array(np.array(self._size(output), np.int64), name))
        self._add("Reshape", [last, name], output)

    def convert_concatenation(self, operator, output: int) -> None:
        axis = operator.builtinOptions.axis
        if len(self._size(output)) == 4:
            axis = (0, 2, 3, 1)[axis]
        self._add("Concat", [self._name(i) for i in operator.inputs], output, axis=axis)


if __name__ == "__main__":
    main()
