"""The work itself, apart from any socket: register, render raw, refine and put back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from safetensors import SafetensorError

from backend.avatars.base import RenderedView
from backend.models.runtime import best_device
from backend.photos import start_decoder
from backend.pipeline.ahead import compile_all
from backend.pipeline.baking import bake
from backend.pipeline.catalog import SUCCESSORS, Catalog, Refiner, ReportProgress
from backend.pipeline.parts import Parts, complete, rendering
from backend.pipeline.store import AvatarStore, Registration
from backend.pipeline.temporal import refine_in_order
from backend.pipeline.view_sets import Crops, ViewSet, reference_state, usable_square
from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import Capabilities
from backend.protocol.rigged_mesh import RiggedMesh
from backend.tracking.actions import actions_on, lacks_actions
from flame import HeadModel, HeadModelError

MADE = 0.8
"""Of a registration's progress: the avatar is made, and is baked next."""
DEFAULT_MEMORY = 2 << 30
"""Bytes of avatars that are held."""


class Pipeline:
    """Avatars and refiners, loaded as they are needed. One thread computes; `forget` and the properties are free."""

    def __init__(
        self, catalog: Catalog | None = None, device: str = "auto", max_avatar_bytes: int = DEFAULT_MEMORY
    ) -> None:
        """`device` is "cpu", "cuda" or "auto": the GPU if there is one."""
        self.catalog = catalog or Catalog.default()
        self.store = AvatarStore(max_avatar_bytes)
        self.device = device
        self._head_models: dict[str, HeadModel] = {}
        self._refiners: dict[str, Refiner] = {}
        self._known: dict[tuple[str, str, str, int, str], str] = {}

    def capabilities(self) -> Capabilities:
        """What can be asked for."""
        return Capabilities(
            presets=tuple(filter(self.catalog.preset_ready, self.catalog.presets)),
            makers=tuple(self.catalog.makers),
            head_models=tuple(self.catalog.head_models),
            device=self.device,
        )

    def warm_up(self) -> None:
        """Load and compile what every request needs, so that the first is not slow."""
        start_decoder()
        self._settle_device()
        # Other makers bring torch, which takes seconds to import.
        if "bust" in self.catalog.makers:
            self.catalog.maker("bust")
            compile_all()
        if "open_head" in self.catalog.head_models:
            self._head_model("open_head")
        # On a GPU a preset is compiled when it is loaded: better now than at the first request.
        for name in self.capabilities().presets:
            if name == "compact" or self.device.startswith("cuda"):
                self.refiner(name)

    def register(
        self,
        photo: bytes,
        maker: str,
        head_model: str,
        progress: ReportProgress,
        texture: np.ndarray | None = None,
        face: int = 0,
    ) -> Registration:
        """Make an avatar of a photo (the bytes of an image file), or find the one that was made of it before.

        Args:
            texture, face: see `Register`.

        Raises:
            TurboPortraitError: unknown_maker, unknown_head_model; and tracking's errors.
        """
        maker = SUCCESSORS.get(maker, maker)
        make = self.catalog.maker(maker)
        model = self._head_model(head_model)
        made_of = (hashlib.sha256(photo).hexdigest(), maker, model.checksum, face)
        key = (*made_of, "" if texture is None else hashlib.sha256(np.ascontiguousarray(texture).data).hexdigest())
        if found := self._find_known(key):
            return found
        if texture is None:
            # Asked once: it reads files.
            bakes = bool(self.catalog.baked_by) and self.catalog.preset_ready(self.catalog.baked_by)
            share = MADE if bakes else 1.0
            avatar = make(photo, model, lambda fraction, stage: progress(share * fraction, stage), face=face)
            registration = Registration.of(avatar, model.checksum)
            if bakes and getattr(avatar, "textured", False):
                registration = self._baked(registration, progress)
        else:
            # Whoever paints changes the texture alone, again and again.
            like = next(filter(None, (self._find_known(k) for k in self._known if k[:4] == made_of)), None)
            avatar = (like.avatar if like else make(photo, model, progress, face=face)).with_texture(texture)
            # A texture that comes along was baked when its avatar was made, wherever that was.
            registration = Registration.of(avatar, model.checksum, self.catalog.baked_by)
        avatar_id = registration.avatar.id
        self._known[key] = avatar_id
        if avatar_id in self.store.ids:
            return self.store.get(avatar_id)
        self.store.put(registration)
        return registration

    def _baked(self, registration: Registration, progress: ReportProgress) -> Registration:
        """With the texture baked."""
        preset = self.catalog.baked_by
        progress(MADE, "baking")
        registration = bake(registration, self.refiner(preset), preset)
        progress(1.0, "done")
        return registration

    def _find_known(self, key: tuple[str, str, str, int, str]) -> Registration | None:
        return self.store.get(self._known[key]) if self._known.get(key) in self.store.ids else None

    def find(self, avatar_id: str) -> Registration:
        """Raises TurboPortraitError unknown_avatar."""
        return self.store.get(avatar_id)

    def forget(self, avatar_id: str) -> None:
        """Raises TurboPortraitError unknown_avatar."""
        self.store.forget(avatar_id)

    def mesh(self, avatar_id: str) -> RiggedMesh:
        """Raises TurboPortraitError unknown_avatar or no_mesh."""
        registration = self.find(avatar_id)
        mesh = registration.avatar.mesh()
        if mesh is None:
            raise TurboPortraitError("no_mesh")
        checksum = registration.head_model_checksum
        model = next((each for each in self._head_models.values() if each.checksum == checksum), None)
        if model is None or not lacks_actions(mesh.expression_names) or mesh.expression_names != model.expression_names:
            return mesh
        return replace(mesh, actions=actions_on(model))

    def check_preset(self, preset: str) -> None:
        """Raises TurboPortraitError unknown_preset or weights_missing, before any time is spent on rendering."""
        self.refiner(preset)

    def render_raw(
        self, registration: Registration, cameras: Sequence[Camera], parameters: HeadParameters
    ) -> list[RenderedView]:
        """The avatar's own views, one per camera; empty and transparent where the camera does not see the head.

        Raises:
            TurboPortraitError: bad_parameters, where the head model has fewer expressions.
        """
        return complete(self.rendering(registration, cameras, parameters))

    def rendering(
        self, registration: Registration, cameras: Sequence[Camera], parameters: HeadParameters
    ) -> Parts[list[RenderedView]]:
        """`render_raw` in parts."""
        avatar = registration.avatar
        mesh = avatar.mesh()
        if mesh and len(parameters.expression) > len(mesh.expression_names):
            known = len(mesh.expression_names)
            raise TurboPortraitError(
                "bad_parameters", f"{len(parameters.expression)} expression coefficients, the head model has {known}"
            )
        squares = [usable_square(avatar.bounds(camera, parameters)) for camera in cameras]
        usable = [camera for camera, square in zip(cameras, squares, strict=True) if square]
        seen = iter((yield from rendering(avatar, usable, parameters)))
        return [
            next(seen) if square else RenderedView.empty(camera.width, camera.height)
            for camera, square in zip(cameras, squares, strict=True)
        ]

    def refine(
        self,
        registration: Registration,
        cameras: Sequence[Camera],
        parameters: HeadParameters,
        raw: Sequence[RenderedView],
        preset: str,
        noise_level: float = 0.1,
        joint: bool = True,
        warn: Callable[[str], None] | None = None,
    ) -> list[np.ndarray]:
        """Refined frames (H, W, 4) uint8, each of its camera's size.

        The head's square crop is rendered at the refiner's size, all of them are refined together (each for itself
        where not `joint`), and what refining changed is added to the raw frame, which keeps its own detail.
        The noise is seeded by the avatar: the same request gives the same pixels. `warn` is told in a sentence what is
        not as asked: views that could not be refined, or not together.
        """
        return complete(self.refining(registration, cameras, parameters, raw, preset, noise_level, joint, warn))

    def refining(
        self,
        registration: Registration,
        cameras: Sequence[Camera],
        parameters: HeadParameters,
        raw: Sequence[RenderedView],
        preset: str,
        noise_level: float = 0.1,
        joint: bool = True,
        warn: Callable[[str], None] | None = None,
    ) -> Parts[list[np.ndarray]]:
        """`refine` in parts."""
        groups = [(tuple(cameras), tuple(raw))] if joint else [((c,), (r,)) for c, r in zip(cameras, raw, strict=True)]
        view_sets = [ViewSet(registration, of, parameters, views) for of, views in groups]
        refined = yield from self._refining_view_sets(view_sets, preset, noise_level, warn)
        return [frame for frames in refined for frame in frames]

    def refine_view_sets(
        self,
        view_sets: Sequence[ViewSet],
        preset: str,
        noise_level: float = 0.1,
        warn: Callable[[str], None] | None = None,
    ) -> list[list[np.ndarray]]:
        """Refine several view sets, those of one avatar in one evaluation; each gets the same frames as by itself.

        Returns:
            For each view set a frame (H, W, 4) uint8 per camera.
        """
        return complete(self._refining_view_sets(view_sets, preset, noise_level, warn))

    def _refining_view_sets(
        self, view_sets: Sequence[ViewSet], preset: str, noise_level: float, warn: Callable[[str], None] | None
    ) -> Parts[list[list[np.ndarray]]]:
        refiner = self.refiner(preset)
        crops = [Crops.of(view_set, refiner.size) for view_set in view_sets]
        # The noise belongs to the avatar, and a batch has as many views in each of its view sets.
        groups: dict[tuple[str, int], list[int]] = {}
        for number, crop in enumerate(crops):
            groups.setdefault((crop.view_set.registration.avatar.id, len(crop.views)), []).append(number)
        frames = [[view.rgba for view in view_set.raw] for view_set in view_sets]
        for (_, count), numbers in groups.items():
            if not count:
                continue
            registration = view_sets[numbers[0]].registration
            state = reference_state(registration, refiner, preset)
            views = [crops[number].views for number in numbers]
            refined = refiner.refine_batch(views, state, noise_level, registration.seed, warn)
            yield
            for number, images in zip(numbers, refined, strict=True):
                frames[number] = yield from crops[number].putting_back(images, preset)
        return frames

    def refine_sequence(
        self,
        view_sets: Sequence[ViewSet],
        preset: str,
        noise_level: float = 0.1,
        warn: Callable[[str], None] | None = None,
    ) -> list[list[np.ndarray]]:
        """Refine view sets that follow each other, each with the one before, warped, as one more reference.

        Returns:
            For each view set a frame (H, W, 4) uint8 per camera.
        """
        refined = refine_in_order(self.refiner(preset), view_sets, preset, noise_level, warn)
        return [crops.put_back(images, preset) for crops, images in refined]

    def _head_model(self, name: str) -> HeadModel:
        if name not in self._head_models:
            try:
                self._head_models[name] = self.catalog.head_model(name)
            except HeadModelError as error:
                raise TurboPortraitError("bad_head_model", str(error)) from error
        return self._head_models[name]

    def refiner(self, preset: str) -> Refiner:
        """Raises TurboPortraitError unknown_preset or weights_missing."""
        if preset not in self._refiners:
            try:
                self._refiners[preset] = self.catalog.refiner(preset, self._settle_device())
            except OSError as error:
                raise TurboPortraitError("weights_missing", str(error)[:300]) from error
            except (ValueError, LookupError, SafetensorError) as error:
                raise TurboPortraitError("bad_refiner", str(error)[:300]) from error
        return self._refiners[preset]

    def _settle_device(self) -> str:
        if self.device == "auto":
            self.device = best_device()
        return self.device
