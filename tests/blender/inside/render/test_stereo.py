"""The eyes of a stereo camera and the files of views, compared with what Blender tells an engine and writes itself."""

from typing import ClassVar

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon.render.stereo import rendered_views, stereo_eye


class StereoProbe(bpy.types.RenderEngine):
    """Asks Blender for the cameras of a render; renders nothing."""

    bl_idname, bl_label = "STEREO_PROBE", "Stereo probe"
    seen: ClassVar[dict[str, tuple[np.ndarray, float]]] = {}

    def render(self, depsgraph):
        camera = depsgraph.scene.camera.evaluated_get(depsgraph)
        for view in rendered_views(depsgraph.scene.render):
            self.active_view_set(view.name)
            matrix = Matrix(np.array(self.camera_model_matrix(camera)).reshape(4, 4).tolist())
            self.seen[view.name] = np.array(matrix.normalized()), self.camera_shift_x(camera)


@pytest.fixture
def stereo(scene):
    """A scene with stereoscopy, rendered small by the probe."""
    bpy.utils.register_class(StereoProbe)
    engine, scene.render.engine = scene.render.engine, StereoProbe.bl_idname
    scene.render.use_multiview, scene.render.image_settings.views_format = True, "INDIVIDUAL"
    scene.render.resolution_x = scene.render.resolution_y = 8
    scene.camera.matrix_world = Matrix.LocRotScale((0.3, -1, 0.2), None, (2, 1, -3)) @ Matrix.Rotation(1.2, 4, "X")
    yield scene
    for view in scene.render.views:
        view.use = True
    scene.render.use_multiview, scene.render.engine = False, engine
    bpy.utils.unregister_class(StereoProbe)


@pytest.mark.parametrize("pivot", ["LEFT", "CENTER", "RIGHT"])
@pytest.mark.parametrize("convergence", ["OFFAXIS", "PARALLEL", "TOE"])
def test_each_eye_is_blenders_own(stereo, convergence, pivot):
    data = stereo.camera.data
    data.lens, data.sensor_width, data.shift_x = 40, 30, 0.1
    data.stereo.convergence_mode, data.stereo.pivot = convergence, pivot
    data.stereo.interocular_distance, data.stereo.convergence_distance = 0.2, 1.2
    bpy.ops.render.render()
    camera = stereo.camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
    for name, (matrix, shift_x) in StereoProbe.seen.items():
        eye = stereo_eye(camera, left=name == "left")
        np.testing.assert_allclose(np.array(eye.matrix), matrix, atol=1e-6)
        assert eye.shift_x == pytest.approx(shift_x, abs=1e-6)
    assert not np.allclose(StereoProbe.seen["left"][0], StereoProbe.seen["right"][0], atol=1e-3)


@pytest.mark.parametrize("one", [False, True])
def test_files_end_as_blenders_own(stereo, tmp_path, one):
    stereo.render.views["left"].file_suffix = ".port"
    stereo.render.stereo_views["right"].use = not one
    stereo.render.filepath = str(tmp_path / "frame")
    bpy.ops.render.render(write_still=True)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"frame{view.suffix}.png" for view in rendered_views(stereo.render)
    }
    stereo.render.views["left"].file_suffix = "_L"
