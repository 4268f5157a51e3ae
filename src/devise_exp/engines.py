"""A frozen network as it is run over pictures: by torch, or by OpenVINO on a processor."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from devise_exp.backbone import Backbone
from devise_exp.errors import InputError, say

ENGINES = ("auto", "torch", "openvino")
# Converting and compiling takes OpenVINO seconds, which so many pictures win back.
WORTH_OPENVINO = 500
ALIKE = 0.9999  # the least cosine of a picture's features by two engines

Engine = Callable[[Tensor], np.ndarray]  # (B, 3, crop, crop) -> (B, feature_dim) float32


def name_of(engine: str, place: str, n: int) -> str:
    """Which engine runs n pictures where the config says `engine`, one of ENGINES; InputError for
    one that cannot.
    """
    installed, on_cpu = find_spec("openvino") is not None, place == "cpu"
    if engine == "openvino" and not (installed and on_cpu):
        missing = "is not installed: pip install -e '.[openvino]'"
        reason = "runs on the processor: set features.device=cpu" if installed else missing
        raise InputError(f"features.engine=openvino: OpenVINO {reason}, or take engine=auto")
    if engine == "auto":
        return "openvino" if installed and on_cpu and n >= WORTH_OPENVINO else "torch"
    return engine


def engine_of(name: str, backbone: Backbone, place: str) -> Engine:
    """The network of `backbone`, ready to run; "openvino" is torch's after all where the network
    cannot be converted, or its features would not be the same.
    """
    if name == "torch":
        return torch_engine(backbone.network, place)
    size = backbone.preprocess.crop
    sample = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    try:
        engine = openvino_engine(backbone.network, size, backbone.feature_dim)
        found = engine(sample)
    except MemoryError:
        raise
    except Exception as error:  # its converter meets what it does not know with any exception
        reason = " ".join(str(error).split())[:200]
        say(f"warning: OpenVINO cannot run {backbone.name} ({reason}): torch does")
        return torch_engine(backbone.network, place)
    by_torch = torch_engine(backbone.network, place)
    least = cosines(found, by_torch(sample)).min()
    if not least >= ALIKE:
        say(f"warning: OpenVINO's features of {backbone.name} differ (cosine {least:.4f}): torch's")
        return by_torch
    return engine


def torch_engine(network: nn.Module, place: str) -> Engine:
    """channels_last, which is the quicker layout of a convolution nearly everywhere."""
    network = network.eval().to(device=place).to(memory_format=torch.channels_last)

    def run(images: Tensor) -> np.ndarray:
        with torch.inference_mode():
            images = images.to(place, memory_format=torch.channels_last)
            features: np.ndarray = network(images).float().cpu().numpy()
        return features

    return run


def openvino_engine(network: nn.Module, size: int, feature_dim: int) -> Engine:
    """One picture at a time on each core, so that a picture's bits hang neither on its batch nor
    on the number of cores.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # tells nobody
    import openvino

    shape = (1, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's tracer, of branches that the shape decides
        plain = network.eval().to(device="cpu").to(memory_format=torch.contiguous_format)
        model = openvino.convert_model(plain, example_input=torch.zeros(shape), input=[*shape])
    cores = torch.get_num_threads()
    told = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": cores,
        "INFERENCE_NUM_THREADS": cores,
    }
    queue = openvino.AsyncInferQueue(openvino.Core().compile_model(model, "CPU", told))

    def run(images: Tensor) -> np.ndarray:
        features = np.empty((len(images), feature_dim), dtype=np.float32)

        def keep(request: Any, i: int) -> None:
            features[i] = request.get_output_tensor(0).data

        queue.set_callback(keep)
        for i, image in enumerate(images.contiguous().numpy()):
            queue.start_async({0: image[None]}, i)
        queue.wait_all()
        return features

    return run


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine of each pair of rows, (N,)."""
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    with np.errstate(invalid="ignore"):  # of a row of zeros: NaN
        found: np.ndarray = (left * right).sum(axis=1) / lengths
    return found
