"""A frozen network as it is run over pictures: by torch, or by OpenVINO on a processor."""

from __future__ import annotations

import ctypes
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Backbone

ENGINES = ("auto", "torch", "openvino")
# Converting and compiling takes OpenVINO seconds, which so many pictures win back.
WORTH_OPENVINO = 500
ALIKE = 0.9999  # the least cosine of a picture's features by two engines
PART = 8  # pictures that torch runs at once on a processor: what it computes stays in the cache


@dataclass(frozen=True)
class Engine:
    """run: pixels (B, crop, crop, 3) uint8 -> features (B, feature_dim) float32. name: torch or
    openvino; precision: float32 or bfloat16, what it computes in.
    """

    name: str
    precision: str
    run: Callable[[Tensor], np.ndarray]


def choose_engine(engine: str, place: str, n: int) -> str:
    """Which engine runs n pictures where the config says `engine`, one of ENGINES; InputError for
    one that cannot.
    """
    installed, on_cpu = find_spec("openvino") is not None, place == "cpu"
    if engine == "openvino" and not (installed and on_cpu):
        missing = "is not installed: pip install 'devise-exp[openvino]'"
        reason = "runs on the processor: set features.device=cpu" if installed else missing
        raise InputError(f"features.engine=openvino: OpenVINO {reason}, or features.engine=auto")
    if engine == "auto":
        return "openvino" if installed and on_cpu and n >= WORTH_OPENVINO else "torch"
    return engine


def has_bfloat16(place: str) -> bool:
    """Whether a GPU or the processor computes in bfloat16 itself; elsewhere it is a detour."""
    if place.startswith("cuda"):
        return torch.cuda.get_device_capability(place)[0] >= 8  # Ampere and later
    own: bool = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return place == "cpu" and own


def engine_of(name: str, precision: str, backbone: Backbone, place: str, sample: Tensor) -> Engine:
    """The network of `backbone`, ready to run; "openvino" is torch's after all where the network
    cannot be converted, or the features of the pixels `sample` would not be the same.
    """
    if name == "torch":
        return torch_engine(backbone, place, precision)
    try:
        engine = openvino_engine(backbone, precision)
        found = engine.run(sample)
    except MemoryError:
        raise
    except Exception as error:  # its converter meets what it does not know with any exception
        reason = " ".join(str(error).split())[:200]
        notify(f"warning: OpenVINO cannot run {backbone.name} ({reason}): torch does")
        return torch_engine(backbone, place, precision)
    if engine.precision == "float32":
        by_torch = torch_engine(backbone, place, precision)
        least = cosines(found, by_torch.run(sample)).min()
        if not least >= ALIKE:
            notify(
                f"warning: OpenVINO's features of {backbone.name} differ (cosine {least:.4f}): "
                "torch's"
            )
            return by_torch
    return engine


def torch_engine(backbone: Backbone, place: str, precision: str) -> Engine:
    """channels_last, which is the quicker layout of a convolution nearly everywhere."""
    network = _FromPixels(backbone).eval().to(device=place).to(memory_format=torch.channels_last)
    kind, low = torch.device(place).type, precision == "bfloat16"
    if kind == "cpu":
        _keep_freed_memory()

    def run(pixels: Tensor) -> np.ndarray:
        parts = pixels.split(PART if kind == "cpu" else len(pixels))
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=low):
            features = [network(part.to(place)).float() for part in parts]
        found: np.ndarray = torch.cat(features).cpu().numpy()
        return found

    return Engine("torch", precision, run)


def _keep_freed_memory() -> None:
    """glibc hands what a layer has freed back to the system and asks for it anew for the next one,
    which may take as long as the layer itself; let it keep 256 MB.
    """
    with suppress(AttributeError, OSError):  # no glibc
        allocator = ctypes.CDLL(None)
        allocator.mallopt(ctypes.c_int(-1), ctypes.c_int(256 << 20))  # M_TRIM_THRESHOLD
        allocator.mallopt(ctypes.c_int(-3), ctypes.c_int(32 << 20))  # M_MMAP_THRESHOLD, its most


def openvino_engine(backbone: Backbone, precision: str) -> Engine:
    """One picture at a time on each core, so that a picture's bits hang neither on its batch nor
    on the number of cores. Where the processor has no bfloat16 it may compute in float32 after all,
    and says so.
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
