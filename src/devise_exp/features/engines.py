"""Engines that run a frozen network over pixels: torch, or OpenVINO on a processor."""

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

from devise_exp.core.console import warn
from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.cuda import start_on_cuda

ENGINES = ("auto", "torch", "openvino")
# Converting and compiling takes OpenVINO seconds, which so many images win back.
OPENVINO_MIN_IMAGES = 500
MIN_COSINE = 0.9999  # of an image's features by two engines
TORCH_IMAGES_AT_ONCE = 8  # on a processor: what torch computes then stays in its cache


@dataclass(frozen=True)
class Engine:
    """A network that is ready to run.

    Attributes:
        name: "torch" or "openvino".
        precision: "float32" or "bfloat16", in which it computes.
        run: From pixels (B, crop, crop, 3) uint8 to features (B, feature_dim) float32.
        start: The same without waiting, if the device computes beside the processor: it returns a
            function that waits for the features.
    """

    name: str
    precision: str
    run: Callable[[Tensor], np.ndarray]
    start: Callable[[Tensor], Callable[[], np.ndarray]] | None = None


def choose_engine(engine: str, device: str, n: int) -> str:
    """Choose the engine that runs `n` images.

    Args:
        engine: `features.engine`, one of ENGINES.
        device: torch's name of the device.
        n: Number of images.

    Returns:
        "torch" or "openvino".

    Raises:
        InputError: OpenVINO is asked for and is not installed, or the device is no processor.

    Example:
        >>> choose_engine("auto", "cuda:0", 1000)
        'torch'
    """
    installed, on_cpu = find_spec("openvino") is not None, device == "cpu"
    if engine == "openvino" and not (installed and on_cpu):
        missing = "is not installed: pip install 'devise-exp[openvino]'"
        reason = "runs on the processor: set features.device=cpu" if installed else missing
        raise InputError(f"features.engine=openvino: OpenVINO {reason}, or features.engine=auto")
    if engine == "auto":
        return "openvino" if installed and on_cpu and n >= OPENVINO_MIN_IMAGES else "torch"
    return engine


def has_bfloat16(device: str) -> bool:
    """Say whether a device computes in bfloat16 itself; elsewhere bfloat16 is a detour.

    Args:
        device: torch's name of the device.

    Returns:
        True for GPUs from Ampere on, and for processors with AVX512-BF16 or AMX.
    """
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device)[0] >= 8  # Ampere and later
    native: bool = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device == "cpu" and native


def build_engine(
    name: str, precision: str, backbone: Backbone, device: str, sample: Tensor
) -> Engine:
    """Make the network of a backbone ready to run.

    OpenVINO is replaced by torch, with a warning, if it cannot convert the network or its features
    of `sample` differ from torch's.

    Args:
        name: "torch" or "openvino".
        precision: "float32" or "bfloat16".
        backbone: The network and its preprocessing.
        device: torch's name of the device.
        sample: Pixels (B, crop, crop, 3) uint8 to compare engines by.

    Returns:
        The engine.
    """
    if name == "torch":
        return torch_engine(backbone, device, precision)
    try:
        engine = openvino_engine(backbone, precision)
        features = engine.run(sample)
    except MemoryError:
        raise
    except Exception as error:  # its converter meets what it does not know with any exception
        reason = " ".join(str(error).split())[:200]
        warn(f"OpenVINO cannot run {backbone.name} ({reason}): torch runs it instead")
        return torch_engine(backbone, device, precision)
    if engine.precision == "float32":
        by_torch = torch_engine(backbone, device, precision)
        lowest = cosines(features, by_torch.run(sample)).min()
        if not lowest >= MIN_COSINE:
            warn(
                f"OpenVINO's features of {backbone.name} differ from torch's "
                f"(cosine {lowest:.4f}): torch runs it instead"
            )
            return by_torch
    return engine


def torch_engine(backbone: Backbone, device: str, precision: str) -> Engine:
    """Make torch ready to run a backbone.

    Args:
        backbone: The network and its preprocessing.
        device: torch's name of the device.
        precision: "float32" or "bfloat16".

    Returns:
        The engine; it holds tensors as channels_last, nearly everywhere the faster layout.
    """
    network = _FromPixels(backbone).eval().to(device=device).to(memory_format=torch.channels_last)
    kind, low = torch.device(device).type, precision == "bfloat16"
    if kind == "cuda":
        start = start_on_cuda(network, device, low)
        return Engine("torch", precision, lambda pixels: start(pixels)(), start)
    if kind == "cpu":
        _keep_freed_memory()

    def run(pixels: Tensor) -> np.ndarray:
        parts = pixels.split(TORCH_IMAGES_AT_ONCE if kind == "cpu" else len(pixels))
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=low):
            batches = [network(part.to(device)).float() for part in parts]
        features: np.ndarray = torch.cat(batches).cpu().numpy()
        return features

    return Engine("torch", precision, run)


def _keep_freed_memory() -> None:
    """Let glibc keep 256 MB of freed memory.

    To return memory after every layer and to ask for it again may take as long as the layer.
    """
    with suppress(AttributeError, OSError):  # no glibc
        allocator = ctypes.CDLL(None)
        allocator.mallopt(ctypes.c_int(-1), ctypes.c_int(256 << 20))  # M_TRIM_THRESHOLD
        allocator.mallopt(ctypes.c_int(-3), ctypes.c_int(32 << 20))  # M_MMAP_THRESHOLD, its most


def openvino_engine(backbone: Backbone, precision: str) -> Engine:
    """Make OpenVINO ready to run a backbone, one image at a time on each core.

    An image's bits therefore depend neither on its batch nor on the number of cores.

    Args:
        backbone: The network and its preprocessing.
        precision: "float32" or "bfloat16".

    Returns:
        The engine; its precision is float32 if the processor has no bfloat16.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # reports nothing
    import openvino

    cores = torch.get_num_threads()
    options = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "NUM_STREAMS": cores,
        "INFERENCE_NUM_THREADS": cores,
    }
    compiled = openvino.Core().compile_model(_converted(backbone), "CPU", options)
    low = compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16
    queue = openvino.AsyncInferQueue(compiled)

    def run(pixels: Tensor) -> np.ndarray:
        features = np.empty((len(pixels), backbone.feature_dim), dtype=np.float32)

        def keep(request: Any, i: int) -> None:
            features[i] = request.get_output_tensor(0).data

        queue.set_callback(keep)
        for i, image in enumerate(pixels.contiguous().numpy()):
            queue.start_async({0: image[None]}, i)
        queue.wait_all()
        return features

    return Engine("openvino", "bfloat16" if low else "float32", run)


def _converted(backbone: Backbone) -> Any:
    """OpenVINO's model of the network, for one image of pixels."""
    import openvino

    network = _FromPixels(backbone).eval().to("cpu").to(memory_format=torch.contiguous_format)
    size = backbone.preprocess.crop
    example = torch.zeros((1, size, size, 3), dtype=torch.uint8)
    shape = (openvino.PartialShape([*example.shape]), openvino.Type.u8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's tracer, of branches that the shape decides
        return openvino.convert_model(network, example_input=example, input=[shape])


class _FromPixels(nn.Module):
    """The network and the normalization before it: pixels are a quarter of the bytes to move."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.network, self.preprocess = backbone.network, backbone.preprocess

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.network(self.preprocess.normalize(pixels))
        return features


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Compute the cosine of each pair of rows.

    Args:
        left: (N, D).
        right: (N, D).

    Returns:
        (N,); NaN for a row of zeros.
    """
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    with np.errstate(invalid="ignore"):
        similarities: np.ndarray = (left * right).sum(axis=1) / lengths
    return similarities
