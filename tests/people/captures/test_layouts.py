"""Each published layout gives the same head, aligned alike, with cameras that are true."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from layouts import write_ava256, write_nersemble_1, write_nersemble_benchmark, write_panohead

from backend.geometry.similarity import fit_similarity
from backend.metrics.psnr_ssim import psnr
from backend.people.captures.loading import LoadingSummary, load_subjects, open_source
from backend.protocol.camera import Camera

LAYOUTS = {
    "nersemble_1": write_nersemble_1,
    "nersemble_benchmark": write_nersemble_benchmark,
    "ava256": write_ava256,
    "panohead": write_panohead,
}
SIZE = 192


@pytest.fixture(scope="module")
def loaded(tmp_path_factory, rig):
    """layout -> (subject, summary)."""
    results = {}
    for name, write in LAYOUTS.items():
        folder = tmp_path_factory.mktemp(name)
        write(folder, rig)
        source = open_source(folder / "generated_img" if name == "panohead" else folder)
        summary = LoadingSummary(source.name)
        subjects = list(load_subjects(source, SIZE, summary))
        results[name] = subjects, summary
    return results


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_frontal_view_is_the_reference_and_the_back_of_the_head_no_target(loaded, layout):
    subjects, summary = loaded[layout]
    assert summary.skipped == []
    subject = subjects[0]
    assert abs(subject.reference.yaw) < 8
    expected = [-20, 20] if layout == "panohead" else [-40, -20, 20, 40]
    assert [view.yaw for view in subject.targets] == pytest.approx(expected, abs=6)
    assert all(view.mask is not None for view in (subject.reference, *subject.targets))


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_aligned_cameras_see_what_the_aligned_pictures_show(loaded, rig, layout):
    subject = loaded[layout][0][0]
    placed = _onto_the_head(subject, rig)
    for view in (subject.reference, *subject.targets):
        pose = view.camera.extrinsics @ placed
        again = rig.picture(Camera.from_arrays(view.camera.intrinsics, pose, SIZE, SIZE))
        inside = view.mask > 250
        assert inside.mean() > 0.2
        assert psnr(view.image, again, inside) > 30


@pytest.mark.slow
def test_all_layouts_are_aligned_alike(loaded):
    first, *others = (subjects[0] for subjects, _ in loaded.values())
    for other in others:
        inside = (first.reference.mask > 250) & (other.reference.mask > 250)
        assert inside.mean() > 0.3
        # Two pixels: landmarks are triangulated from two to four cameras.
        assert _eyes(other) == pytest.approx(_eyes(first), abs=2 / SIZE)
        assert psnr(first.reference.image, other.reference.image, inside) > 20


@pytest.mark.slow
def test_eyes_lie_where_panohead_puts_them(loaded):
    # FFHQ: the eyes a little above the square's middle; PanoHead: 10 % more above, nothing below. A smile lifts the
    # mouth's corners back, which tips the head by some degrees.
    assert _eyes(loaded["ava256"][0][0]) == pytest.approx([0.5, 0.51], abs=0.05)


@pytest.mark.slow
def test_what_the_layouts_have_besides_is_kept(loaded):
    flame = loaded["nersemble_benchmark"][0][0].flame
    assert flame["shape"].shape == (300,)
    frame = int(loaded["nersemble_benchmark"][0][0].moment[-5:])
    assert (flame["expression"] == frame).all()
    view = loaded["ava256"][0][0].reference
    # Clothes are the person's, and not the head's.
    assert (view.head <= view.mask).all()
    assert not view.head[-1].any()
    assert view.mask[-1].any()


def _eyes(subject) -> np.ndarray:
    """(2,) the middle of the eyes in the reference, in parts of its side."""
    return subject.reference.camera.project(subject.landmarks[[33, 133, 362, 263]]).mean(0) / SIZE


def _onto_the_head(subject, rig) -> np.ndarray:
    """(4, 4) from the rig's head space to the subject's, by what both know of the cameras' places."""
    shots = {**{shot.name: shot for shot in rig.shots}, **{f"cam{shot.name}": shot for shot in rig.shots}}
    shots |= {f"cam_{shot.name}": shot for shot in rig.shots}
    yaws = [shot for shot in rig.shots if shot.yaw in (3, -20, 20)]
    shots |= {f"seed0001/{number:02d}.png": shot for number, shot in enumerate(yaws)}
    views = (subject.reference, *subject.targets)
    ours = np.concatenate([_places(view.camera.extrinsics) for view in views])
    theirs = np.concatenate([_places(shots[view.name].over_head.extrinsics) for view in views])
    placed = fit_similarity(theirs, ours)
    assert placed.scale == pytest.approx(1, abs=0.02)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = placed.rotation, placed.shift
    return matrix


def _places(pose: np.ndarray) -> np.ndarray:
    """A camera's place and a point a metre along its view, (2, 3)."""
    place = -pose[:3, :3].T @ pose[:3, 3]
    return np.stack([place, place + pose[2, :3]])
