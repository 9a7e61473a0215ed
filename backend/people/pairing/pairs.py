"""A person of the corpus as training pairs: the portrait registered, raw views of its avatar, the true ones aligned."""

from __future__ import annotations

from functools import cache

import numpy as np

from backend.avatars.bust import register_bust
from backend.people.pairing.alignment import Alignment
from backend.people.pairing.options import PairOptions
from backend.people.pairing.reference import LEAST_AGREEMENT, Rejected, agreement_of, reference_image
from backend.people.pairing.true_head import bust_of_truth
from backend.people.pairing.warp import Warped, premultiplied_srgb, warp
from backend.people.shards import Identity
from backend.people.synthesis.anatomy import anatomy_of
from backend.people.synthesis.files import LABELS, PersonViews
from backend.pipeline.baking import baked_texture
from backend.pipeline.catalog import Catalog, Refiner
from backend.pipeline.store import Registration
from backend.protocol.camera import Camera
from backend.tracking.photo import encode_photo
from flame import HeadModel

HEAD_LABELS = [label for name, label in LABELS.items() if name != "clothing"]
"""Head and bare neck; clothes are no target."""
ZOOM, SHIFT = (0.9, 1.05), 0.03
"""How much wider or nearer than the portrait a view is framed, and off its middle, as shares of its side."""


def make_person_pairs(
    person: PersonViews, model: HeadModel, options: PairOptions
) -> tuple[Identity, dict[str, np.ndarray]]:
    """A person's shard: the identity, and what lies beside it.

    Args:
        model: the head model that the person was rendered with, with landmarks.

    Raises:
        Rejected: the portrait could not be registered, or does not agree with the aligned truth.
    """
    try:
        if options.true_head:
            avatar = bust_of_truth(person, model)
        else:
            avatar = register_bust(encode_photo(person.portrait), model)
    except Exception as error:
        raise Rejected(f"not registered: {error}") from error
    size, aligned = options.size, options.aligned
    if options.baked:
        registration = Registration.of(avatar, model.checksum)
        texture = baked_texture(registration, _refiner(options.baked), options.baked)
        avatar = avatar if texture is None else avatar.with_texture(texture)
    alignment = Alignment(person, avatar, model)
    rng = np.random.default_rng([person.seed, 3000])
    reference = reference_image(avatar, size)
    columns: dict[str, list] = {name: [] for name in ("raw", "truth", "confidence", "head", "angles", "place",
                                                      "warped", "cameras", "expressions", "poses",
                                                      "moment")}  # fmt: skip
    for view in range(len(person.images)):
        parameters = alignment.parameters(view)
        camera = alignment.camera(view)
        moved = aligned or view == 0
        camera = _framed(camera, avatar.bounds(camera, parameters), rng if view and moved else None, size)
        raw = avatar.render([camera], parameters)[0]
        true = (
            _moved_view(person, view, alignment, model, camera) if moved else _true_view(person, view, alignment, size)
        )
        columns["raw"].append(raw.rgba)
        columns["truth"].append(true.rgba)
        columns["confidence"].append(np.uint8(np.rint(255 * raw.confidence)))
        columns["head"].append(np.uint8(np.rint(255 * true.trusted)))
        columns["angles"].append(alignment.angles(view))
        columns["place"].append(raw.place)
        columns["warped"].append(raw.warped)
        columns["cameras"].append([*camera.K, *camera.world_to_camera])
        columns["expressions"].append(parameters.expression)
        columns["poses"].append(parameters.joint_rotations)
        columns["moment"].append(alignment.moment(view))
        if view == 0:
            agreement = agreement_of(reference, true.rgba, columns["head"][0])
            # Neither where there is nothing to compare.
            if aligned and not agreement >= LEAST_AGREEMENT:
                raise Rejected(f"portrait and truth agree only to {agreement:.1f} dB")
    types = {"angles": np.float32, "place": np.float16, "cameras": np.float64, "expressions": np.float32,
             "poses": np.float32, "moment": np.int32}  # fmt: skip
    arrays = {name: np.array(values).astype(types.get(name, np.uint8)) for name, values in columns.items()}
    more = {name: arrays.pop(name) for name in ("cameras", "expressions", "poses", "moment")}
    fitted = avatar.tracked.vertices if aligned else alignment.placed(alignment.vertices(0))
    more |= {"betas": np.asarray(avatar.tracked.betas, np.float32), "agreement": np.array(agreement),
             "aligned": np.array(aligned), "baked": np.array(options.baked), "true_head": np.array(options.true_head),
             "landmarks": np.asarray(model.landmark_positions(fitted), np.float32)}  # fmt: skip
    return Identity(person.seed, reference=reference, **arrays), more


@cache
def _refiner(preset: str) -> Refiner:
    return Catalog.default().refiner(preset, "cpu")


def _true_view(person: PersonViews, view: int, alignment: Alignment, size: int) -> Warped:
    """The true picture of a view as it is; trusted are head, hair and headwear within the portrait's frame."""
    mask = np.isin(person.labels[view], HEAD_LABELS) & (person.labels[view] != LABELS["neck"])
    y, x = known = np.nonzero(mask & (person.depth[view] > 0))
    points = person.cameras[view].unproject(np.stack([x + 0.5, y + 0.5], 1), person.depth[view][known])
    mask[known] = alignment.framed(view, points)
    return Warped.reduced(premultiplied_srgb(person.images[view]), mask, size)


def _moved_view(person: PersonViews, view: int, alignment: Alignment, model: HeadModel, camera: Camera) -> Warped:
    """The true picture of a view, where a camera over the fitted head sees it."""
    labels, mouth = person.labels[view], anatomy_of(model).mouth
    mask = np.isin(labels, HEAD_LABELS)
    changed = alignment.moment(view) != 0
    if changed:
        mask &= labels != LABELS["mouth"]

    def move(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved, nearest = alignment.move(view, points)
        # What a mouth shows that has opened since, the portrait does not tell.
        return moved, ~(changed & mouth[nearest])

    return warp(person.images[view], person.depth[view], mask, person.cameras[view], move, camera)


def _framed(
    camera: Camera, bounds: tuple[float, float, float] | None, rng: np.random.Generator | None, size: int
) -> Camera:
    """The camera at the refiner's size, framed as the portrait is; a little differently with random numbers."""
    if rng is None or bounds is None:
        return camera.crop(0, 0, camera.width, size)
    x, y, side = bounds
    zoomed = side * rng.uniform(*ZOOM)
    shift = (side - zoomed) / 2 + side * rng.uniform(-SHIFT, SHIFT, 2)
    return camera.crop(x + shift[0], y + shift[1], zoomed, size)
