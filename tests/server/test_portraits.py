"""Real portraits, and photographs that are none, through a real backend process with busts."""

import io

import matplotlib.cbook
import numpy as np
import pytest
import skimage.data
from PIL import Image

from backend.client import BackendProcess, Client, TurboPortraitError
from backend.geometry.orbit import camera_from_side
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import View

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backend")
    process = BackendProcess.start(log=folder / "log", endpoint_path=folder / "backend.json")
    with Client(process.wait_ready()) as client:
        client.connect()
        yield client
        assert client.status().pid == process.wait_ready().pid  # It lived through all of it.
    process.stop()


@pytest.fixture(scope="module")
def registered(client):
    return client.register(as_file(ASTRONAUT))


ASTRONAUT = Image.fromarray(skimage.data.astronaut())


def as_file(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def beside_itself() -> Image.Image:
    """Two of her, one smaller."""
    both = Image.new("RGB", (900, 512), (128, 128, 128))
    both.paste(ASTRONAUT, (0, 0))
    both.paste(ASTRONAUT.resize((360, 360)), (530, 100))
    return both


def test_the_portrait_is_found_again_by_its_own_camera(client, registered):
    view = client.render(registered.avatar, registered.parameters, [View("a", registered.camera)], refined=False)
    rgba = view.raw["a"].rgba
    inside = (rgba[..., 3] == 255) & (registered.reference[..., 3] > 250)
    assert inside.mean() > 0.2
    difference = rgba[..., :3][inside].astype(float) - registered.reference[..., :3][inside]
    assert 10 * np.log10(255**2 / np.mean(difference**2)) > 28


def test_the_same_request_gives_the_same_pixels(client, registered):
    views = [View("a", camera_from_side(registered.camera, 20, 5, 300))]
    first, again = (client.render(registered.avatar, HeadParameters(), views, refined=False) for _ in range(2))
    assert np.array_equal(first.raw["a"].rgba, again.raw["a"].rgba)


def test_registering_again_is_at_once_and_the_same(client, registered):
    stages = []
    again = client.register(as_file(ASTRONAUT), on_progress=lambda fraction, stage: stages.append(stage))
    assert again.avatar == registered.avatar
    assert not stages


def test_the_mesh_has_the_arkit_expressions(client, registered):
    mesh = client.mesh(registered.avatar)
    assert "jawOpen" in mesh.expression_names
    assert np.allclose(mesh.skin_weights.sum(1), 1, atol=1e-4)
    assert mesh.faces.max() < len(mesh.vertices)


@pytest.mark.parametrize("eye", ["inside the head", "facing away"])
def test_a_camera_that_sees_nothing_gives_an_empty_view(client, registered, eye):
    transform = np.diag([1.0, -1.0, -1.0, 1.0])  # At the origin, looking along -z.
    if eye == "facing away":
        transform[2, 3] = -0.6
    camera = Camera.from_arrays([[300, 0, 100], [0, 300, 100], [0, 0, 1]], transform, 200, 200)
    view = client.render(registered.avatar, HeadParameters(), [View("a", camera)], refined=False).raw["a"]
    assert not view.rgba[..., 3].any()


def test_of_several_faces_the_largest_is_taken_with_a_warning(client):
    found = client.register(as_file(beside_itself()))
    assert [notice.code for notice in found.warnings] == ["several_faces"]


@pytest.mark.parametrize(
    ("photo", "code"),
    [
        pytest.param(lambda: b"%PDF-1.7 not a picture", "not_an_image", id="no image"),
        pytest.param(lambda: as_file(ASTRONAUT)[:5000], "not_an_image", id="half an image"),
        pytest.param(lambda: b"", "not_an_image", id="an empty file"),
        pytest.param(lambda: as_file(Image.fromarray(skimage.data.coffee())), "no_face", id="coffee"),
        pytest.param(lambda: as_file(ASTRONAUT.crop((225, 0, 512, 512))), "face_cut", id="half a face"),
        pytest.param(lambda: as_file(ASTRONAUT.resize((150, 150))), "face_too_small", id="40 pixels"),
    ],
)
def test_photographs_that_are_no_portraits(client, photo, code):
    with pytest.raises(TurboPortraitError) as error:
        client.register(photo())
    assert error.value.code == code
    assert error.value.hint


def test_glasses_and_a_cap(client):
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        found = client.register(file.read())
    view = client.render(found.avatar, found.parameters, [View("a", found.camera)], refined=False)
    assert view.raw["a"].rgba[..., 3].any()
