"""Render a scene's views with Cycles: built once, moved from view to view; one multilayer EXR a view."""

import json
import time
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from backend.people.synthesis.studio import objects
from backend.people.synthesis.studio.materials import make_material


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
    seconds, shown = [], 0
    for k, view in enumerate(description["views"]):
        start = time.perf_counter()
        if view["moment"] != shown:
            shown = view["moment"]
            for name, thing in meshes.items():
                objects.move_mesh(thing.data, arrays[f"meshes/{name}/{shown}"])
            for name, thing in strands.items():
                objects.move_strands(thing.data, arrays[f"strands/{name}/{shown}"])
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
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 4, 2, 1
    cycles.transmission_bounces, cycles.transparent_max_bounces = 3, 24
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    render.use_persistent_data, render.film_transparent = True, True
    render.threads_mode, render.threads = "FIXED", threads
    scene.cycles_curves.shape = "RIBBONS"
    scene.cycles_curves.subdivisions = 1
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_cryptomatte_material = True
    layer.pass_cryptomatte_depth = 4
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
    settings.exr_codec = "NONE"


def _build(description: dict, arrays: dict[str, np.ndarray]) -> tuple[dict, dict]:
    images = {name: objects.add_image(name, arrays[f"image/{name}"]) for name in ("skin", "relief", "eye")}
    built: dict[str, dict] = {"meshes": {}, "strands": {}}
    for kind, things in built.items():
        for entry in description[kind]:
            name = entry["name"]
            values = {key: arrays[f"{kind}/{name}/{key}"] for key in entry["values"]}
            # Materials are named by what they show: the Cryptomatte pass tells them apart by that.
            materials = [make_material(settings["label"], settings, images) for settings in entry["materials"]]
            first = arrays[f"{kind}/{name}/0"]
            if kind == "meshes":
                things[name] = objects.add_mesh(name, first, values.pop("faces"), values, materials)
            else:
                things[name] = objects.add_strands(name, first, entry["materials"][0]["radius"], values, materials[0])
            if name.startswith(("cornea", "lens")):
                # What is clear lets the light of the lamps through.
                things[name].visible_shadow = False
    return built["meshes"], built["strands"]
