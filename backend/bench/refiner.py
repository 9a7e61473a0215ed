"""`turboportrait bench refiner`: latency, memory and stages of the refiner, beside its plain diffusers form."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from enum import StrEnum
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from backend.avatars.base import RenderedView
from backend.bench.plain_refiner import PlainRefiner
from backend.bench.report import percentiles
from backend.bench.work import PeakMemory, refining_flop, seconds_of
from backend.evaluation.portraits import real_portraits
from backend.evaluation.subject import Subject
from backend.refiner import Refiner
from backend.refiner.config import RefinerConfig, preset_folder
from backend.refiner.network.autoencoder import decode
from backend.refiner.network.images import NetworkViews
from backend.refiner.runtime.onnx_refiner import OnnxRefiner, folder_of
from backend.refiner.runtime.static_runner import StaticRunner, can_compile
from backend.refiner.views import stack_samples
from backend.tracking.embedding import with_landmarks
from flame import load_head_model

LEAST_REPEATS = 3
QUIET = 0.8
"""Below this share of the cores' time other programs are at work; the refiner by itself uses more."""
STAGES = ("encode", "unet", "decode")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Framing(StrEnum):
    """What the measured pictures show."""

    FULL = "full"
    PORTRAIT = "portrait"


class Case:
    """A preset, a number of views, a size, a framing."""

    def __init__(self, model: Refiner, views: int, size: int, preset: str, framing: Framing = Framing.FULL) -> None:
        self.model, self.count, self.size, self.preset, self.framing = model, views, size, preset, framing
        self.place: np.ndarray | None = None
        if framing is Framing.PORTRAIT:
            self.views, self.portrait, self.place = _astronaut(views, size)
        else:
            rng = np.random.default_rng(0)
            self.views = [_picture(rng, size) for _ in range(views)]
            self.portrait = _picture(rng, size).rgba
        self.memory = 0

    def __str__(self) -> str:
        return f"{self.preset}, {self.count} views at {self.size}"

    def measure_memory(self) -> None:
        """Peak memory while these views are refined for the first times."""
        with PeakMemory(self.model.device) as peak:
            self._use_size()
            for _ in range(3):
                self.model.refine(self.views, self.model.encode_reference(self.portrait, self.place))
        self.memory = peak.bytes

    def measure(self, plain: PlainRefiner | None, repeats: int, limit: float) -> dict:
        """All figures, the two forms in turns."""
        self._use_size()
        device = self.model.device
        reference = self.model.encode_reference(self.portrait, self.place)
        forms: dict[str, Callable] = {"ours": partial(self.model.refine, self.views, reference)}
        if light := self._light_form():
            encoded = light.encode_reference(self.portrait, self.place)
            forms["onnx"] = partial(light.refine, self.views, encoded)
        if plain:
            forms["plain"] = partial(plain.refine, self.views, self.portrait, place=self.place)
        if self.framing is Framing.FULL:
            # The stages by themselves, and the work that is counted, are those of whole pictures.
            forms |= self._stages(torch.from_numpy(reference.latent[None]).to(device, self.model.dtype))
        pictures = {name: call() for name, call in forms.items()}
        taken: dict[str, list[float]] = {name: [] for name in forms}
        spent, worked = 0.0, time.process_time()
        for repeat in range(repeats):
            if repeat >= LEAST_REPEATS and spent > limit:
                break
            for name, call in forms.items():
                taken[name].append(seconds_of(call, device))
                spent += taken[name][-1]
        worked = time.process_time() - worked
        figures: dict[str, Any] = {
            "preset": self.preset,
            "framing": self.framing,
            "views": self.count,
            "size": self.size,
            "repeats": len(taken["ours"]),
            "ours": _figures(taken["ours"]),
            "peak_memory_gb": round(self.memory / 1e9, 2),
        }
        if light:
            figures["onnx"] = _figures(taken["onnx"])
            figures["onnx_times_faster"] = round(figures["ours"]["p50_ms"] / figures["onnx"]["p50_ms"], 2)
            figures["onnx_largest_difference"] = _largest_difference(pictures["ours"], pictures["onnx"])
        if self.framing is Framing.FULL:
            flop = refining_flop(preset_folder(self.preset), self.count, self.size)
            figures["stages_ms"] = {name: percentiles(taken[name])["p50_ms"] for name in STAGES}
            figures["tflop"] = {name: float(f"{count / 1e12:.4g}") for name, count in flop.items()}
        if device.type == "cpu":
            # What other programs took of the cores makes every time longer.
            figures["share_of_cores"] = round(worked / (spent * torch.get_num_threads()), 2)
        if plain:
            figures["plain"] = _figures(taken["plain"])
            figures["times_faster"] = round(figures["plain"]["p50_ms"] / figures["ours"]["p50_ms"], 2)
            pair = (np.stack(pictures[name]).astype(int) for name in ("ours", "plain"))
            difference = np.abs(np.subtract(*pair))
            figures["largest_difference"] = int(difference.max())
            figures["mean_difference"] = round(float(difference.mean()), 4)
        return figures

    def _light_form(self) -> OnnxRefiner | None:
        """The same weights on ONNX Runtime, where they were exported and torch computes on the CPU as well."""
        folder = preset_folder(self.preset)
        if self.model.device.type != "cpu" or not folder_of(folder).is_dir():
            return None
        light = OnnxRefiner(folder)
        light.config = dataclasses.replace(light.config, size=self.size)
        return light

    def _use_size(self) -> None:
        self.model.config = dataclasses.replace(self.model.config, size=self.size)

    def _stages(self, latent: torch.Tensor) -> dict[str, Callable]:
        """Encoding, U-Net and decoding by themselves, each run as the whole is."""
        model, device = self.model, self.model.device
        rgba, confidence, _, place, warped = map(torch.from_numpy, stack_samples([self.views]))
        images = NetworkViews.of(rgba, confidence, place, warped).map(lambda part: part[0].to(device, model.dtype))
        with torch.inference_mode():
            latents, features = model.encode_images(images)

        def run(function: Callable, **inputs: torch.Tensor) -> Callable:
            runner = StaticRunner(function, device, lambda **_: can_compile(device) and self.count == 2)
            return torch.inference_mode()(partial(runner, **inputs))

        def decoded(latents: torch.Tensor, **features: torch.Tensor) -> tuple[torch.Tensor]:
            return (decode(model.vae, latents, model.skips, list(features.values())),)

        numbered = {f"feature_{number}": feature for number, feature in enumerate(features)}
        return {
            "encode": run(lambda **views: (model.encode_images(NetworkViews(**views))[0],), **images._asdict()),
            "unet": run(
                lambda noisy, reference: (model.denoise(noisy, reference),), noisy=latents[None], reference=latent
            ),
            "decode": run(decoded, latents=model.pictured(latents), **numbered),
        }


def device_name(device: torch.device) -> str:
    """The GPU's own name, or "cpu" with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


def _largest_difference(first: list[np.ndarray], second: list[np.ndarray]) -> int:
    """Grey levels."""
    return int(np.abs(np.stack(first).astype(int) - np.stack(second)).max())


def _figures(seconds: list[float]) -> dict[str, float]:
    return {**percentiles(seconds), "best_ms": round(1000 * min(seconds), 1)}


def plain_form(model: Refiner, preset: str) -> PlainRefiner:
    lora = RefinerConfig.load(preset_folder(preset)).lora
    return PlainRefiner(model, lora, model.dtype if model.device.type == "cuda" else torch.float32)


def _picture(rng: np.random.Generator, size: int) -> RenderedView:
    """Noise that is smooth at the scale of a face's parts, seen everywhere and trusted nowhere."""
    coarse = torch.from_numpy(rng.random((1, 3, 16, 16), np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    color = (255 * smooth[0]).byte().permute(1, 2, 0).numpy()
    rgba = np.dstack([color, np.full((size, size), 255, np.uint8)])
    return RenderedView(rgba, np.ones((size, size), np.float32), np.zeros((size, size), np.float32))


def _astronaut(count: int, size: int) -> tuple[list[RenderedView], np.ndarray, np.ndarray | None]:
    """So many views of the astronaut from -35 to 35 degrees, framed as registered, the portrait and its places."""
    subject = _registered(size)
    avatar = subject.avatar
    cameras = subject.cameras(np.linspace(-35, 35, count).tolist() if count > 1 else [20.0])
    return avatar.render(cameras, avatar.tracked.parameters), subject.reference, avatar.portrait_place(size)


@cache
def _registered(size: int) -> Subject:
    return Subject.of_photo(real_portraits()["astronaut"], with_landmarks(load_head_model()), size)


def print_report(report: dict) -> None:
    rates = ", ".join(f"{value:.2f} TFLOP/s in {kind}" for kind, value in report["matrix_tflops"].items())
    table = Table(title=f"{report['machine']}; {report['device']}; matrices: {rates}", title_justify="left")
    columns = (
        "preset|framing|views|size|p50|p95|plain p50|plain p95|times|encode|U-Net|decode|TFLOP|of matrix rate|memory"
    )
    for column in columns.split("|"):
        table.add_column(column, justify="left" if column == "preset" else "right")
    for case in report["cases"]:
        other = case.get("plain", {})
        table.add_row(
            case["preset"],
            case["framing"],
            str(case["views"]),
            str(case["size"]),
            *(f"{row[key]:.1f} ms" if row else "" for row in (case["ours"], other) for key in ("p50_ms", "p95_ms")),
            str(case.get("times_faster", "")),
            *(f"{case['stages_ms'][stage]:.1f}" if "stages_ms" in case else "" for stage in STAGES),
            f"{case['tflop']['total']:.3f}" if "tflop" in case else "",
            f"{case['share_of_matrix_rate']:.0%}" if "tflop" in case else "",
            f"{case['peak_memory_gb']:.2f} GB",
        )
    console = Console(width=180)
    console.print(table)
    if any(case.get("share_of_cores", 1) < QUIET for case in report["cases"]):
        console.print(
            "[yellow]Other programs were at work: these times are too long. Measure again when it is quiet.[/]"
        )
