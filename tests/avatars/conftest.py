"""The two real portraits that come with packages, registered once."""

import io

import matplotlib.cbook
import pytest
import skimage.data
from PIL import Image

from backend.avatars.bust import register_bust
from flame import load_head_model


@pytest.fixture(scope="session")
def astronaut_photo() -> bytes:
    file = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(file, "PNG")
    return file.getvalue()


def _hopper() -> bytes:
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        return file.read()


@pytest.fixture(scope="session")
def head_model():
    return load_head_model()


@pytest.fixture(scope="session")
def astronaut(head_model, astronaut_photo):
    return register_bust(astronaut_photo, head_model)


@pytest.fixture(scope="session")
def hopper(head_model):
    return register_bust(_hopper(), head_model)


@pytest.fixture(scope="session", params=["astronaut", "hopper"])
def avatar(request):
    return request.getfixturevalue(request.param)
