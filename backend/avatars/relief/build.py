"""The relief avatar's mesh: head model, shell and teeth as one rigged, textured mesh."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from backend.avatars.bust.mouth import Teeth, build_teeth, lip_seal, mouth_share
from backend.avatars.relief.borrow import Lender
from backend.avatars.relief.regions import (
    CHIN,
    PortraitRegions,
    PosedModel,
    find_regions,
    find_skin,
    pose_model,
    posed_at,
)
from backend.avatars.relief.shell import Sheet, build_shell, depth_inside
from backend.avatars.relief.silhouette import meet_outline
from backend.avatars.relief.surface import Surface, build_surface
from backend.avatars.relief.textures import hair_colors, photo_without_background, sample
from backend.protocol.rigged_mesh import RiggedMesh
from backend.tracking import TrackedPortrait
from flame import HeadModel
from flame.geometry import vertex_normals

NEVER_FADES = 9.0
EXPRESSION_REACH = 0.012
"""Metres over which an expression of the face carries the hair beside it."""
STILL = 1e-5
"""Metres; a vertex that no expression moves by more is not stored."""


def build_mesh(tracked: TrackedPortrait, model: HeadModel) -> tuple[RiggedMesh, np.ndarray]:
    """Make the avatar of a tracked portrait (DESIGN: the relief avatar), and say which vertices (N,) are clothes."""
    camera = tracked.camera
    person, face, skin = find_skin(tracked)
    posed = pose_model(tracked, model)
    posed = posed_at(tracked, model, meet_outline(camera, posed, person, skin))
    regions = find_regions(tracked, model, posed, person, face, skin)
    front, back = build_shell(camera, tracked.landmarks, posed, regions)
    front_facing = _facing(front)
    lends = ndimage.binary_erosion(regions.hair, iterations=5)
    lender = Lender(front, front_facing, lends, regions.person, camera.intrinsics[0, 0])
    hair_color = hair_colors(tracked.image, regions.hair, regions.skin)
    surface = build_surface(tracked, model, posed, regions, lender, depth_inside(camera, front, back), hair_color)
    teeth = build_teeth(tracked, model, posed.points, float(tracked.image[regions.face].mean()))

    photo = photo_without_background(tracked.image, regions.person)
    shells = [
        _shell_part(sheet, facing, lender, hair_color, regions)
        for sheet, facing in ((front, front_facing), (back, None))
    ]
    parts = [
        dict(
            points=surface.points,
            faces=surface.faces,
            pixels=posed.screen[:, :2],
            photo_weight=surface.photo_weight,
            facing=surface.facing,
            fill_pixels=surface.fill_pixels,
            fill_weight=surface.fill_weight,
            color=surface.color,
            cloth=np.zeros(len(surface.points), bool),
        ),
        *shells,
        _teeth_part(teeth),
    ]
    mesh = _join(parts)
    offsets, skin = _deformation(tracked, model, posed, surface, [p["points"] for p in parts[1:]], regions)
    return _rigged(tracked, model, mesh, photo, offsets, skin, surface)


def _facing(sheet: Sheet) -> np.ndarray:
    normals = vertex_normals(sheet.points, sheet.faces)
    facing = np.abs((normals * sheet.points).sum(1)) / np.linalg.norm(sheet.points, axis=1)
    return np.where(sheet.rim, np.minimum(facing, 0.15), facing)


def _shell_part(
    sheet: Sheet, facing: np.ndarray | None, lender: Lender, colors: np.ndarray, regions: PortraitRegions
) -> dict:
    """The front sheet shows the photo; the back sheet only borrows."""
    fill_pixels, fill_weight = lender.borrow(sheet.points, sheet.pixels)
    photo_weight = (
        np.zeros(len(sheet.points))
        if facing is None
        else _in(sheet.pixels, ndimage.binary_dilation(~regions.owned, iterations=4)).astype(float)
    )
    cloth = _nearest_is(sheet.pixels, regions.clothing, regions.hair)
    # Cloth has folds, not strands: its back is the front's, drawn in from the edge.
    fill_pixels[cloth], fill_weight[cloth] = _drawn_in(sheet.pixels[cloth], regions.clothing), 1
    return dict(
        points=sheet.points,
        faces=sheet.faces,
        pixels=sheet.pixels,
        photo_weight=photo_weight,
        facing=np.full(len(sheet.points), NEVER_FADES) if facing is None else facing,
        fill_pixels=fill_pixels,
        fill_weight=fill_weight,
        color=sample(colors, sheet.pixels),
        cloth=cloth,
    )


def _in(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(n,) the values of an image (S, S) at the pixels that points (n, 2) lie in."""
    column, row = np.clip(pixels.astype(int), 0, mask.shape[0] - 1).T
    return mask[row, column]


def _nearest_is(pixels: np.ndarray, these: np.ndarray, those: np.ndarray) -> np.ndarray:
    """(n,) bool: points that lie nearer to one mask (S, S) than to another."""
    near = [
        _in(pixels, ndimage.distance_transform_edt(~m) if m.any() else np.full(m.shape, np.inf)) for m in (these, those)
    ]
    return near[0] < near[1]


def _drawn_in(pixels: np.ndarray, mask: np.ndarray, margin: int = 6) -> np.ndarray:
    """Each point (n, 2) itself, or the nearest place well inside the mask."""
    column, row = np.clip(pixels.astype(int), 0, mask.shape[0] - 1).T
    inner = ndimage.binary_erosion(mask, iterations=margin, border_value=1)
    inner = inner if inner.any() else mask
    rows, columns = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)
    outside = ~inner[row, column]
    moved = np.stack([columns[row, column], rows[row, column]], 1) + 0.5
    return np.where(outside[:, None], moved, pixels)


def _teeth_part(teeth: Teeth) -> dict:
    count = len(teeth.points)
    return dict(
        points=teeth.points,
        faces=teeth.faces,
        pixels=teeth.pixels,
        photo_weight=np.full(count, float(teeth.from_photo)),
        facing=np.full(count, NEVER_FADES),
        fill_pixels=teeth.pixels,
        fill_weight=np.zeros(count),
        color=teeth.color,
        cloth=np.zeros(count, bool),
    )


def _join(parts: list[dict]) -> dict:
    starts = np.cumsum([0, *(len(p["points"]) for p in parts[:-1])])
    joined = {key: np.concatenate([p[key] for p in parts]) for key in parts[0] if key != "faces"}
    joined["faces"] = np.concatenate([p["faces"] + start for p, start in zip(parts, starts, strict=True)])
    return joined


def _deformation(
    tracked: TrackedPortrait,
    model: HeadModel,
    posed: PosedModel,
    surface: Surface,
    loose: list[np.ndarray],
    regions: PortraitRegions,
) -> tuple[np.ndarray, np.ndarray]:
    """Expression offsets (E, N, 3) in head space and skin weights (N, 5), carried from the head mesh to the rest."""
    drawn = np.unique(surface.faces)
    tree = cKDTree(posed.points[drawn])
    basis = np.moveaxis(model.expressiondirs, 2, 0)
    offsets, weights = [basis], [model.lbs_weights]
    chin = tracked.landmarks[CHIN, 1]
    pixels_per_metre = tracked.camera.intrinsics[1, 1] / posed.points[:, 2].mean()
    for index, points in enumerate(loose):
        distance, nearest = tree.query(points)
        nearest = drawn[nearest]
        # The back of the hair follows no expression; the teeth are bone.
        reach = np.exp(-((distance / EXPRESSION_REACH) ** 2)) if index == 0 else np.zeros(len(points))
        offsets.append(basis[:, nearest] * reach[None, :, None])
        weights.append(_loose_weights(model, tracked, points, distance, nearest, chin, pixels_per_metre, index == 2))
    return np.concatenate(offsets, 1), np.concatenate(weights)


def _loose_weights(model, tracked, points, distance, nearest, chin, pixels_per_metre, bone) -> np.ndarray:
    """Skin weights away from the mesh: with the head above the chin, with the torso below, as the mesh does near it."""
    weights = np.zeros((len(points), 5))
    if bone:
        weights[:, 1] = 1
        return weights
    camera = tracked.camera.intrinsics
    row = camera[1, 1] * points[:, 1] / points[:, 2] + camera[1, 2]
    by_height = 1 / (1 + np.exp((row - chin - 0.012 * pixels_per_metre) / (0.01 * pixels_per_metre)))
    far = np.clip((distance - 0.02) / 0.04, 0, 1)
    # Hair goes with the skull, not with jaw or eyes.
    mesh_head = 1 - model.lbs_weights[nearest, 0]
    head = mesh_head * (1 - far) + by_height * far
    weights[:, 0], weights[:, 1] = 1 - head, head
    return weights


def _rigged(tracked, model, mesh, photo, offsets, skin, surface) -> tuple[RiggedMesh, np.ndarray]:
    """Out of camera space and out of the portrait's expression; what of it is cloth."""
    size = tracked.camera.width
    to_head = np.linalg.inv(tracked.camera.extrinsics)
    points = mesh["points"] @ to_head[:3, :3].T + to_head[:3, 3]
    expression = np.zeros(model.num_expression)
    given = tracked.parameters.expression
    expression[: len(given)] = given
    neutral = points - np.einsum("e,enc->nc", expression, offsets)

    count = len(model.v_template)
    drawn = np.zeros(count, bool)
    drawn[np.unique(surface.faces)] = True
    seal = np.zeros_like(neutral)
    seal[:count] = lip_seal(model, neutral[:count], drawn, np.array([0.0, 1, 0]))
    offsets = offsets - mouth_share(model, expression)[:, None, None] * seal
    neutral = neutral + seal

    moving = np.flatnonzero(np.abs(offsets).max((0, 2)) > STILL)
    used = np.zeros(len(neutral), bool)
    used[np.unique(mesh["faces"])] = True
    keep = np.flatnonzero(used)
    new_index = np.full(len(neutral), -1)
    new_index[keep] = np.arange(len(keep))
    moving = moving[used[moving]]
    uv = lambda pixels: np.stack([pixels[:, 0], size - pixels[:, 1]], 1) / size  # noqa: E731
    texture = np.full((size, size, 4), 255, np.uint8)
    texture[..., :3] = np.clip(np.round(photo), 0, 255)
    f32 = lambda array: np.ascontiguousarray(array[keep], np.float32)  # noqa: E731
    rigged = RiggedMesh(
        vertices=f32(neutral),
        faces=np.ascontiguousarray(new_index[mesh["faces"]], np.int32),
        expression_vertices=new_index[moving].astype(np.int32),
        expression_offsets=np.ascontiguousarray(offsets[:, moving], np.float32),
        expression_names=model.expression_names,
        joints=model.rest_joints(tracked.neutral_vertices).astype(np.float32),
        parents=model.parents.astype(np.int32),
        skin_weights=f32(skin),
        uv=f32(uv(mesh["pixels"])),
        texture=texture,
        photo_weight=f32(mesh["photo_weight"]),
        photo_facing=f32(mesh["facing"]),
        fill_uv=f32(uv(mesh["fill_pixels"])),
        fill_weight=f32(mesh["fill_weight"]),
        base_color=np.clip(np.round(mesh["color"]), 0, 255)[keep].astype(np.uint8),
    )
    return rigged, mesh["cloth"][keep]
