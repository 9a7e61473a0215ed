"""What the fitted head and the torso make of a portrait's outline."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from backend.avatars.bust.anatomy import Anatomy
from backend.avatars.bust.atlas import HAIR_BOX, TORSO_BOX
from backend.avatars.bust.build import fit_to_outline
from backend.avatars.bust.chart import POLE_ROWS, RadialChart
from backend.avatars.bust.hair import build_hair, head_chart, skull_radius
from backend.avatars.bust.outline import fit_height
from backend.avatars.bust.paint_hair import paint_hair
from backend.avatars.bust.portrait import BACKGROUND, CLOTHING, HAIR, HEADWEAR, SKIN, Portrait
from backend.avatars.bust.torso import ABOVE, COLLAR_GAP, COLUMNS, OVER_NECK, STEP, _collar, _column, _neck_limit
from backend.geometry.rasterizer import rasterize


@pytest.fixture(scope="module")
def fitted(astronaut, head_model):
    """A portrait to draw outlines in; the fitted head, its chart and its skull's radius."""
    anatomy = Anatomy.of(head_model)
    vertices = astronaut.tracked.vertices.astype(float)
    chart = head_chart(anatomy, vertices, float(vertices[:, 1].min()))
    head = vertices[anatomy.skin & ~anatomy.neck & ~anatomy.torso & ~anatomy.ears]
    skull = skull_radius(chart, anatomy, vertices, head_model.faces)
    return Portrait.of(astronaut.tracked), chart, skull, vertices, head


def with_outline(portrait: Portrait, head: np.ndarray, wider: float, higher: float, part: int) -> Portrait:
    """The portrait of an ellipse of skin as wide as the head, times `wider`, and `higher` pixels above its top; its
    upper half is of the given part."""
    pixels = portrait.camera.project(head)
    centre, half = (pixels.max(0) + pixels.min(0)) / 2, np.ptp(pixels, axis=0) / 2
    axes = [wider * half[0], half[1] + higher]
    person = np.zeros(portrait.alpha.shape, np.uint8)
    cv2.ellipse(person, centre.astype(int).tolist(), np.rint(axes).astype(int).tolist(), 0, 0, 360, 1, -1)
    upper = np.arange(portrait.size)[:, None] < centre[1]
    regions = np.zeros_like(portrait.regions)
    regions[..., BACKGROUND] = 1 - person
    regions[..., SKIN] = person * ~upper
    regions[..., part] += person * upper
    return replace(portrait, regions=regions, alpha=person.astype(np.float32))


def height(vertices: np.ndarray) -> float:
    return float(vertices[:, 1].max())


@pytest.mark.parametrize("part", [SKIN, HAIR])
def test_a_narrow_outline_does_not_flatten_the_skull(fitted, part):
    portrait, chart, skull, vertices, head = fitted
    narrow = with_outline(portrait, head, 0.8, 12, part)
    assert height(fit_height(narrow, chart, skull, vertices)) > height(vertices) - 0.008


def test_a_bald_head_is_as_high_as_its_outline(fitted):
    portrait, chart, skull, vertices, head = fitted
    tall = with_outline(portrait, head, 1.0, 12, SKIN)
    metres = 12 * portrait.camera.to_camera(vertices)[:, 2].mean() / portrait.camera.intrinsics[1, 1]
    assert height(fit_height(tall, chart, skull, vertices)) == pytest.approx(height(vertices) + metres, abs=0.006)


def test_hair_is_on_top_what_it_is_at_the_sides(fitted):
    """Close at the sides it does not make up for a skull that is too low."""
    portrait, chart, skull, vertices, head = fitted
    cropped, full = (
        height(fit_height(with_outline(portrait, head, wider, 25, HAIR), chart, skull, vertices))
        for wider in (1.0, 1.3)
    )
    assert cropped > full + 0.004
    assert full > height(vertices) - 0.008


def test_a_collar_goes_round_the_neck():
    neck = np.zeros((40, 8))
    neck[:20] = np.linspace(0.12, 0.06, 20)[:, None]
    limit = _neck_limit(neck)
    assert (limit[:20] <= neck[:20] + OVER_NECK + COLLAR_GAP[1] + 1e-9).all()
    assert (limit[:20] >= neck[:20]).all()
    # From the neck's end on it goes forward, without a step.
    assert np.abs(np.diff(limit[15:], axis=0)).max() < 1.5 * STEP
    assert np.isinf(_neck_limit(np.zeros((4, 8)))).all()


def test_a_collar_beside_a_jaw_lies_behind_it():
    """A neck that widens to a jaw is as narrow for a collar as below it; where there is none it stays none."""
    neck = np.zeros((30, 8))
    neck[:20] = np.concatenate([np.linspace(0.1, 0.06, 10), np.linspace(0.06, 0.08, 10)])[:, None]
    column = _column(neck)
    assert np.allclose(column[:10], 0.06)
    assert np.array_equal(column[10:], neck[10:])


def test_a_high_collar_leaves_the_throat_free(fitted):
    """What the photo shows at the sides goes on round the back, not under the chin."""
    portrait, chart = fitted[:2]
    regions = np.zeros_like(portrait.regions)
    regions[..., CLOTHING] = 1
    trunk = RadialChart(chart.centre, 0, 60, COLUMNS, STEP)
    collar = _collar(trunk, replace(portrait, regions=regions), np.full(trunk.shape, 0.08))
    before = np.abs(np.degrees(portrait.turned(trunk.azimuth)))
    assert collar[before > 60].max() == 0
    assert collar[before < 40].min() >= ABOVE / STEP


def test_a_collar_is_no_lower_behind_than_at_the_sides(fitted):
    """Where one column shows cloth higher up than those beside it, the neck's outline does: the collar is as high."""
    portrait, chart = fitted[:2]
    trunk = RadialChart(chart.centre, 0, 60, COLUMNS, STEP)
    points = trunk.points(np.full(trunk.shape, 0.08))
    turned = np.degrees(portrait.turned(trunk.azimuth))
    tops = np.where(np.abs(turned) > 70, 20, 40)
    regions = np.zeros_like(portrait.regions)
    rows = np.rint(portrait.camera.project(points)).astype(int).clip(0, portrait.size - 1)
    for column, top in enumerate(tops):
        if np.abs(turned[column]) < 90:
            x, y = rows[top:, column].T
            regions[y, x, CLOTHING] = 1
    regions[..., CLOTHING] = cv2.dilate(regions[..., CLOTHING], np.ones((5, 5)))
    collar = _collar(trunk, replace(portrait, regions=regions), np.full(trunk.shape, 0.08))
    behind = np.cos(np.radians(turned)) < -0.5
    assert collar[behind].max() <= 21


def test_the_torso_has_no_crack_at_the_outline(avatar):
    """Between what the photo shows of it and what lies behind."""
    alpha = avatar.mesh().texture[TORSO_BOX.slices][..., 3]
    solid = (alpha > 127).astype(np.uint8)
    closed = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    sides = np.r_[: TORSO_BOX.width // 3, 2 * TORSO_BOX.width // 3 : TORSO_BOX.width]
    assert (closed > solid)[:, sides].mean() < 0.002


@pytest.fixture(scope="module")
def long_haired(fitted, astronaut, head_model):
    """The portrait of the fitted head's face before long hair, and what it is seen of (S, S) bool."""
    portrait, _, _, vertices, head = fitted
    anatomy = Anatomy.of(head_model)
    bare = anatomy.torso | anatomy.ears
    screen = np.column_stack([portrait.camera.project(vertices), portrait.camera.to_camera(vertices)[:, 2]])
    seen = rasterize(screen, head_model.faces[~bare[head_model.faces].any(1)], portrait.size, portrait.size).covered
    drawn = with_outline(portrait, head, 1.45, 16, HAIR)
    hairline = portrait.camera.project(vertices[anatomy.scalp])[:, 1].max()
    brow = portrait.camera.project(vertices[anatomy.eyes])[:, 1].min() - 0.06 * portrait.size
    face = seen & (np.arange(portrait.size)[:, None] > brow)
    below = np.arange(portrait.size)[:, None] > hairline
    hair = ((drawn.alpha > 0) | (below & cv2.dilate(drawn.alpha, np.ones((1, 3))).any(0)[None])) & ~face
    regions = np.zeros_like(portrait.regions)
    regions[..., SKIN], regions[..., HAIR] = face, hair
    regions[..., BACKGROUND] = ~(face | hair)
    return replace(portrait, regions=regions, alpha=(face | hair).astype(np.float32))


def test_hair_beside_a_face_begins_behind_its_outline(fitted, long_haired, head_model):
    """A pixel of hair beside a cheek is one of the hair behind it, not of the cheek that is seen so steeply there."""
    _, _, _, vertices, _ = fitted
    anatomy = Anatomy.of(head_model)
    hair = build_hair(long_haired, anatomy, vertices, head_model.faces, float(vertices[:, 1].min()))
    level = slice(*(int(hair.chart.coordinates(vertices[part])[1].mean()) for part in (anatomy.eyes, anatomy.mouth)))
    beside = np.degrees(np.abs(hair.chart.azimuth))
    cheek = (beside > 30) & (beside < 42)
    assert np.median((hair.radius - hair.skull)[level][:, cheek]) < 0.002
    assert np.median((hair.radius - hair.skull)[level][:, (beside > 80) & (beside < 100)]) > 0.015


def test_a_crown_is_round(fitted, head_model):
    """Hair on top meets the outline in one place; it is not flat as far as the photo's ray allows."""
    portrait, _, _, vertices, head = fitted
    anatomy = Anatomy.of(head_model)
    full = with_outline(portrait, head, 1.6, 8, HAIR)
    hair = build_hair(full, anatomy, vertices, head_model.faces, float(vertices[:, 1].min()))
    front = slice(4, hair.chart.cap_rows)
    column = int(np.argmin(np.abs(full.turned(hair.chart.azimuth))))
    allowed = full.hull(full.alpha > 0, *(a[front, column] for a in hair.chart.rays()), 0.45)
    assert np.mean(allowed - hair.radius[front, column] < 0.001) < 0.35


def test_a_skull_has_no_step_at_its_top(fitted):
    """All azimuths are one place there, and the mesh's faces are wider than the chart's."""
    skull = fitted[2]
    assert np.ptp(skull[0]) < 0.001
    assert np.abs(np.diff(skull[:POLE_ROWS], axis=1)).max() < 0.0015


def test_cropped_hair_grows_down_the_nape(fitted, head_model):
    """Between the ears it goes lower than the ears do, and is shorter there than on the crown: no bowl."""
    portrait, _, _, vertices, head = fitted
    anatomy = Anatomy.of(head_model)
    hair = build_hair(
        with_outline(portrait, head, 1.2, 20, HAIR), anatomy, vertices, head_model.faces, float(vertices[:, 1].min())
    )
    back, thickness = hair.hidden[:, 0], (hair.radius - hair.skull)[:, 0]
    lobe, top = (int(hair.chart.coordinates(vertices[anatomy.ears])[1].max()), hair.chart.cap_rows // 2)
    grown = np.flatnonzero(back > 0.3)
    assert grown.max() >= lobe - 2
    assert thickness[grown.max()] < 0.3 * thickness[top]
    assert (np.diff(thickness[lobe - 12 : lobe]) < 0.0005).all()


def test_an_ear_is_what_stands_off_the_head(head_model):
    """The open head's own regions reach centimetres beyond it, where hair grows."""
    anatomy = Anatomy.of(head_model)
    for ear in (anatomy.ear_left, anatomy.ear_right):
        _, tall, deep = np.ptp(head_model.v_template[ear], axis=0)
        assert 0.05 < tall < 0.07
        assert 0.03 < deep < 0.045


def test_cropped_hair_ends_at_the_root_of_a_bare_ear(fitted, head_model):
    """It grows to the ear's top and behind it, and lies under the ear, which stands out of it."""
    portrait, _, _, vertices, head = fitted
    anatomy = Anatomy.of(head_model)
    lowest = float(vertices[:, 1].min())
    hair = build_hair(with_outline(portrait, head, 1.1, 8, HAIR), anatomy, vertices, head_model.faces, lowest)
    for ear in (anatomy.ear_left, anatomy.ear_right):
        column, row, radius = hair.chart.coordinates(vertices[ear])
        middle = int(column.mean())
        assert hair.hidden[int(row.min()) - 2, middle] > 0.3
        behind = middle + int(np.sign(column.mean() - hair.chart.columns / 2) * (np.ptp(column) / 2 + 3))
        assert hair.hidden[int(row.mean()), behind] > 0.3
        top = row < np.median(row)
        over = map_coordinates(hair.tucked, [row[top], column[top]], order=1)
        assert np.mean(radius[top] > over) > 0.9


@pytest.mark.parametrize("wider", [0.85, 1.15])
def test_an_ear_that_meets_the_outline_is_not_folded(fitted, head_model, wider):
    portrait, _, _, vertices, head = fitted
    anatomy, faces = Anatomy.of(head_model), head_model.faces
    drawn = with_outline(portrait, head, wider, 8, HAIR)
    lowest = float(vertices[:, 1].min())
    above_torso = faces[~anatomy.torso[faces].any(1)]
    moved = fit_to_outline(drawn, head_model, anatomy, vertices, above_torso, lowest)
    ear = faces[anatomy.ears[faces].all(1)]
    before, after = (np.cross(v[ear[:, 1]] - v[ear[:, 0]], v[ear[:, 2]] - v[ear[:, 0]]) for v in (vertices, moved))
    assert np.abs(moved - vertices)[anatomy.ears].max() > 0.002
    assert ((before * after).sum(1) > 0).all()


def test_hair_below_headwear_goes_on_as_hair(fitted, head_model):
    """Round the head, each at the height at which the photo shows it."""
    portrait, _, _, vertices, head = fitted
    anatomy = Anatomy.of(head_model)
    drawn = with_outline(portrait, head, 1.3, 20, HAIR)
    ears = drawn.camera.project(vertices[anatomy.ears])[:, 1].min()
    brim = (np.flatnonzero(drawn.alpha.any(1))[0] + 2 * ears) / 3
    above = np.arange(drawn.size)[:, None] < brim
    regions = drawn.regions.copy()
    regions[..., HEADWEAR] = drawn.regions[..., HAIR] * above
    regions[..., HAIR] *= ~above
    color = np.broadcast_to(np.where(above, 220.0, 40.0)[..., None], portrait.color.shape).astype(np.float32)
    drawn = replace(drawn, regions=regions, color=color)
    hair = build_hair(drawn, anatomy, vertices, head_model.faces, float(vertices[:, 1].min()))
    back = paint_hair(drawn, hair).rgba[:, :20, :3].mean((1, 2))
    per_row = HAIR_BOX.height / hair.chart.shape[0]
    assert back[int(4 * per_row)] > 150
    assert back[int((hair.chart.cap_rows + 2) * per_row)] < 90


def test_hair_ends_in_strands_and_headwear_in_a_hem(fitted, head_model):
    """Behind, where neither is seen, of the same outline."""
    portrait, _, _, vertices, head = fitted
    rough = {}
    for part in (HAIR, HEADWEAR):
        drawn = with_outline(portrait, head, 1.3, 20, part)
        surface = build_hair(drawn, Anatomy.of(head_model), vertices, head_model.faces, float(vertices[:, 1].min()))
        behind = paint_hair(drawn, surface).rgba[:, :120, 3]
        rough[part] = np.abs(np.diff(behind, axis=1)).sum() / 255
    assert rough[HAIR] > 2 * rough[HEADWEAR]
