"""The avatar of a portrait whose head and regions are known: what even a perfect fit leaves open in one photo."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from backend.avatars.bust import BustAvatar
from backend.avatars.bust.avatar import make_bust
from backend.geometry.sampling import between_centres
from backend.people.pairing.reference import true_camera
from backend.people.parsing.synthetic import classes_of
from backend.people.synthesis.files import PersonViews
from backend.protocol.head_parameters import HeadParameters
from backend.tracking import TrackedPortrait, track
from backend.tracking.parser import CLASSES, Regions
from backend.tracking.photo import encode_photo
from flame import HeadModel


def bust_of_truth(person: PersonViews, model: HeadModel) -> BustAvatar:
    """The bust from a person's true head, camera, matte and regions in place of those that tracking finds.

    Args:
        model: the head model that the person was rendered with, with landmarks.

    Raises:
        TrackingError: no face is found: where the crop lies is still the tracker's.
    """
    tracked = track(encode_photo(person.portrait), model)
    parameters = person.parameters[0]
    own = replace(model, v_template=person.vertices)
    posed = [
        own.forward(None, expression, parameters.joint_rotations).vertices.astype(np.float32)
        for expression in (np.array(parameters.expression), np.zeros(len(parameters.expression)))
    ]
    return make_bust(
        replace(
            tracked,
            camera=true_camera(person.cameras[0], tracked),
            # The portrait's pose is the resting one, as the tracker has it.
            parameters=HeadParameters.from_arrays(expression=np.array(parameters.expression)),
            vertices=posed[0],
            neutral_vertices=posed[1],
            regions=_true_regions(person, tracked),
        ),
        model,
    )


def _true_regions(person: PersonViews, tracked: TrackedPortrait) -> Regions:
    """A person's true regions, matte and colours in the tracker's crop."""
    rgba, size = person.images[0], len(tracked.image)
    matrix = between_centres(tracked.from_photo)

    def cropped(image: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(image.astype(np.float32), matrix, (size, size), flags=cv2.INTER_LINEAR)

    alpha = cropped(rgba[..., 3]) / 255
    probabilities = cropped(np.eye(len(CLASSES))[classes_of(person.labels[0])])
    probabilities[..., CLASSES.index("background")] += 1 - probabilities.sum(-1)
    colors = cropped(rgba[..., :3] * (rgba[..., 3:] / 255.0)) / np.maximum(alpha, 1e-3)[..., None]
    return Regions(probabilities, alpha, np.clip(np.rint(colors), 0, 255).astype(np.uint8))
