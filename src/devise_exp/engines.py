"""A frozen network as it is run over pictures: by torch, or by OpenVINO on a processor."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from devise_exp.backbone import Backbone
from devise_exp.errors import InputError, say

ENGINES = ("auto", "torch", "openvino")
PRECISIONS = ("float32", "bfloat16")
# Converting and compiling takes OpenVINO seconds, which so many pictures win back.
WORTH_OPENVINO = 500
ALIKE = 0.9999  # the least cosine of a picture's features by two engines
NEARLY = 0.999  # the mean cosine of features in bfloat16 to those in float32


@dataclass(frozen=True)
class Engine:
    """run: pixels (B, crop, crop, 3) uint8 -> features (B, feature_dim) float32. name and
    precision: what does it in truth, and in which numbers.
    """

    name: str
    precision: str
    run: Callable[[Tensor], np.ndarray]


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


def precision_of(precision: str, place: str) -> str:
    """What the network is run in where the config says `precision`: bfloat16 only by a GPU or a
    processor that has it, for which it is no detour.
    """
    if precision == "bfloat16" and place.startswith("cuda"):
        return precision if torch.cuda.is_bf16_supported() else "float32"
    on_cpu = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return precision if place == "cpu" and on_cpu else "float32"


def engine_of(
    name: str, precision: str, backbone: Backbone, place: str, sample: Callable[[], Tensor]
) -> Engine:
    """The network of `backbone`, ready to run, after a look at some pixels (B, crop, crop, 3):
    torch in float32 after all where the network cannot be converted, or its features would not be
    the same.
    """
    plain = torch_engine(backbone, place, "float32")
    if (name, precision) == (plain.name, plain.precision):
        return plain
    pixels = sample()
    try:
        make = openvino_engine if name == "openvino" else torch_engine
        engine = make(backbone, place, precision)
        found = engine.run(pixels)
    except MemoryError:
        raise
    except Exception as error:  # OpenVINO meets what it does not know with any exception
        reason = " ".join(str(error).split())[:200]
        say(f"warning: {name} cannot run {backbone.name} ({reason}): torch does, in float32")
        return plain
    alike = cosines(found, plain.run(pixels))
    exact = engine.precision == "float32"
    if not (alike.min() >= ALIKE if exact else alike.mean() >= NEARLY):
        say(
            f"warning: the features of {backbone.name} by {name} in {engine.precision} differ "
            f"(cosine {alike.min() if exact else alike.mean():.4f}): torch runs it, in float32"
        )
        return plain
    return engine


def torch_engine(backbone: Backbone, place: str, precision: str) -> Engine:
    """channels_last, which is the quicker layout of a convolution nearly everywhere."""
    network = _FromPixels(backbone).eval().to(device=place).to(memory_format=torch.channels_last)
    low = precision == "bfloat16"

    def run(pixels: Tensor) -> np.ndarray:
        kind = torch.device(place).type
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=low):
            features = network(pixels.to(place, non_blocking=True))
        found: np.ndarray = features.float().cpu().numpy()
        return found

    return Engine("torch", precision, run)


def openvino_engine(backbone: Backbone, place: str, precision: str) -> Engine:
    """One picture at a time on each core, so that a picture's bits hang neither on its batch nor
    on the number of cores. place: of no account, it runs on the processor.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # tells nobody
    import openvino

    network = _FromPixels(backbone).eval().to("cpu").to(memory_format=torch.contiguous_format)
    size = backbone.preprocess.crop
    example = torch.zeros((1, size, size, 3), dtype=torch.uint8)
    shape = (openvino.PartialShape([*example.shape]), openvino.Type.u8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's tracer, of branches that the shape decides
        model = openvino.convert_model(network, example_input=example, input=[shape])
    cores = torch.get_num_threads()
    told = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "NUM_STREAMS": cores,
        "INFERENCE_NUM_THREADS": cores,
    }
    compiled = openvino.Core().compile_model(model, "CPU", told)
    low = compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16
    queue = openvino.AsyncInferQueue(compiled)

    def run(pixels: Tensor) -> np.ndarray:
        features = np.empty((len(pixels), backbone.feature_dim), dtype=np.float32)

        def keep(request: Any, i: int) -> None:
            features[i] = request.get_output_tensor(0).data

        queue.set_callback(keep)
        for i, picture in enumerate(pixels.contiguous().numpy()):
            queue.start_async({0: picture[None]}, i)
        queue.wait_all()
        return features

    return Engine("openvino", "bfloat16" if low else "float32", run)


class _FromPixels(nn.Module):
    """The network and the normalising before it: pixels are a quarter of the bytes to hand over."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.network, self.preprocess = backbone.network, backbone.preprocess

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.network(self.preprocess.normalised(pixels))
        return features


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine of each pair of rows, (N,)."""
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    with np.errstate(invalid="ignore"):  # of a row of zeros: NaN
        found: np.ndarray = (left * right).sum(axis=1) / lengths
    return found
