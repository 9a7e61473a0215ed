"""Render a scene's views with Cycles: built once, moved from view to view; one multilayer EXR a view."""

import json
import time
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from backend.people.synthesis.studio import objects
from backend.people.synthesis.studio.materials import make_material

LABELS = {"body": 1, "ball_left": 2, "ball_right": 2, "cornea_left": 2, "cornea_right": 2, "teeth_upper": 3,
          "teeth_lower": 3, "gum_upper": 3, "gum_lower": 3, "hair": 4, "brows": 5, "lashes": 5, "beard": 6, "cloth": 7,
          "collar": 7, "hat": 8, "brim": 8, "frame": 9, "lens": 9}  # fmt: skip
"""What a pixel shows, as the `IndexOB` pass has it; `backend.people.synthesis.files.LABELS` names them."""


def render_scene(scene_file: Path, output: Path, samples: int, threads: int) -> list[float]:
    """Write view_00.exr, view_01.exr, ... and return the seconds that each took."""
    with np.load(scene_file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    description = json.loads(str(arrays.pop("description")))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    _set_up(bpy.context.scene, samples, threads)
    meshes, strands = _build(description, arrays)
    lamps = [objects.add_lamp(lamp) for lamp in description["lamps"]]
    places = [lamp.matrix_world.copy() for lamp in lamps]
    sky = objects.set_sky(arrays["image/sky"], description["sky_strength"])
    seconds = []
    for k, view in enumerate(description["views"]):
        start = time.perf_counter()
        if k:
            for name, thing in meshes.items():
                objects.move_mesh(thing.data, arrays[f"meshes/{name}/{k}"])
            for name, thing in strands.items():
                objects.move_strands(thing.data, arrays[f"strands/{name}/{k}"])
        light = Matrix(np.array(view["light"]).reshape(4, 4).tolist())
        for lamp, place in zip(lamps, places, strict=True):
            lamp.matrix_world = light @ place
        objects.turn_sky(sky, light.to_3x3())
        K, pose = np.array(view["K"]).reshape(3, 3), np.array(view["world_to_camera"]).reshape(4, 4)
        objects.set_camera(K, pose, view["size"])
        bpy.context.scene.render.filepath = str(output / f"view_{k:02d}.exr")
        bpy.ops.render.render(write_still=True)
        seconds.append(time.perf_counter() - start)
    return seconds


def _set_up(scene, samples: int, threads: int) -> None:
    scene.render.engine = "CYCLES"
    cycles, render = scene.cycles, scene.render
    cycles.device, cycles.samples, cycles.use_adaptive_sampling = "CPU", samples, False
    cycles.use_denoising, cycles.denoiser, cycles.denoising_prefilter = True, "OPENIMAGEDENOISE", "FAST"
    cycles.seed = 0
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 5, 2, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces = 3, 8
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    render.use_persistent_data, render.film_transparent = True, True
    render.threads_mode, render.threads = "FIXED", threads
    scene.cycles_curves.shape = "RIBBONS"
    scene.cycles_curves.subdivisions = 1
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_object_index = True
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
    settings.exr_codec = "NONE"


def _build(description: dict, arrays: dict[str, np.ndarray]) -> tuple[dict, dict]:
    images = {name: objects.add_image(name, arrays[f"image/{name}"]) for name in ("skin", "relief", "eye")}
    meshes, strands = {}, {}
    for entry in description["meshes"]:
        name = entry["name"]
        values = {key: arrays[f"meshes/{name}/{key}"] for key in entry["values"]}
        faces = values.pop("faces")
        settings = entry["material"] | {"cut": "edge" in values}
        material = make_material(name, settings, images)
        meshes[name] = objects.add_mesh(name, arrays[f"meshes/{name}/0"], faces, values, material)
        if name.startswith(("cornea", "lens")):
            # What is clear lets the light of the lamps through.
            meshes[name].visible_shadow = False
    for entry in description["strands"]:
        name = entry["name"]
        material = make_material(name, entry["material"], images)
        strands[name] = objects.add_strands(name, arrays[f"strands/{name}/0"], entry["material"]["radius"], material)
    for name, thing in (meshes | strands).items():
        thing.pass_index = LABELS[name]
    return meshes, strands
