"""Networks of torch as ONNX files."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

log = logging.getLogger(__name__)

OPSET = 20
SMALLEST_HALVED = 256
"""Values of a tensor from which on it is stored in half floats."""


@torch.no_grad()
def save_onnx(
    network: nn.Module, example: dict[str, Tensor], shapes: dict[str, dict | None], outputs: tuple[str, ...], path: Path
) -> None:
    """Write a network to an ONNX file, its weights in half floats.

    Args:
        example: of its inputs, by their names.
        shapes: which of an input's dimensions are free, as torch.export takes them.
        outputs: their names.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    started = time.monotonic()
    traced = torch.export.export(network.eval(), (), example, dynamic_shapes=shapes, strict=False)
    program = torch.onnx.export(
        traced, (), input_names=list(example), output_names=list(outputs), opset_version=OPSET, dynamo=True,
        verbose=False,
    )  # fmt: skip
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model = program.model_proto
    halve_weights(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    log.info("%s: %d bytes in %.0f s", path.name, path.stat().st_size, time.monotonic() - started)


def halve_weights(model: onnx.ModelProto) -> None:
    """Store a model's weights in half floats, which it makes whole when it is loaded."""
    kept, casts = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor) if tensor.data_type == TensorProto.FLOAT else np.zeros(0)
        if values.size < SMALLEST_HALVED or np.abs(values).max() > np.finfo(np.float16).max:
            kept.append(tensor)
            continue
        kept.append(numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}_half"))
        casts.append(helper.make_node("Cast", [f"{tensor.name}_half"], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    for node in model.graph.node:
        # The exporter's notes on its own source lines.
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
