"""Files as users have them: every kind, and those that cannot be used."""

import io
import struct
import zlib

import numpy as np
import pytest
from image_files import encode
from PIL import Image

from backend.tracking import TrackingError, track
from backend.tracking.photo import decode_photo


def refusal(photo: bytes, model) -> TrackingError:
    with pytest.raises(TrackingError) as caught:
        track(photo, model)
    error = caught.value
    assert error.sentence.endswith(".")
    assert error.hint.endswith(".")
    return error


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8\xff", b"GIF89a", bytes(4096)])
def test_no_image(open_head, content):
    assert refusal(content, open_head).code == "not_an_image"


def test_a_cut_file(open_head, astronaut):
    whole = encode(astronaut)
    assert refusal(whole[: len(whole) // 2], open_head).code == "not_an_image"


def test_a_text_that_claims_to_be_an_image(open_head):
    assert refusal(b"<svg xmlns='http://www.w3.org/2000/svg'/>", open_head).code == "not_an_image"


def huge_png(width: int, height: int) -> bytes:
    """A PNG that declares its size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(11_000, 11_000), (60_000, 60_000), (2_000_000, 100)])
def test_too_many_pixels_are_refused_before_they_are_decoded(open_head, size):
    assert refusal(huge_png(*size), open_head).code == "image_too_large"


def test_too_many_bytes(open_head):
    assert refusal(bytes(65 << 20), open_head).code == "image_too_large"


def test_no_face(open_head):
    y, x = np.mgrid[:300, :400]
    sky = np.stack([x // 4, y // 3, 200 - y // 4], 2).astype(np.uint8)
    assert refusal(encode(sky), open_head).code == "no_face"


@pytest.mark.parametrize("cut", [np.s_[105:, :], np.s_[:, 220:], np.s_[:170, :], np.s_[:, :225]])
def test_a_face_cut_by_the_border(open_head, astronaut, cut):
    assert refusal(encode(np.ascontiguousarray(astronaut[cut])), open_head).code == "face_cut"


def test_a_forty_pixel_face(open_head, astronaut):
    small = np.asarray(Image.fromarray(astronaut).resize((180, 180), Image.Resampling.LANCZOS))
    assert refusal(encode(small), open_head).code == "face_too_small"


def test_of_several_faces_the_largest_is_taken_and_told(open_head, portraits, astronaut, hopper):
    smaller = np.asarray(Image.fromarray(hopper).resize((205, 242), Image.Resampling.LANCZOS))
    beside = np.full((512, 205, 3), 255, np.uint8)
    beside[:242] = smaller
    tracked = track(encode(np.hstack([beside, astronaut])), open_head)
    assert [code for code, _ in tracked.warnings] == ["several_faces"]
    alone = portraits["astronaut"]
    inside = alone.valid & tracked.valid
    apart = np.abs(tracked.image[inside].astype(int) - alone.image[inside])
    assert apart.mean() < 12


def test_exif_orientation_is_applied(astronaut):
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = encode(np.ascontiguousarray(np.rot90(astronaut)), "JPEG", exif=exif, quality=95)
    assert np.abs(decode_photo(lying).astype(int) - astronaut).mean() < 4


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_mode_becomes_rgb(astronaut, mode):
    grey = Image.fromarray(astronaut).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) << 8)
    else:
        image = Image.fromarray(astronaut).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    pixels = decode_photo(buffer.getvalue())
    assert pixels.shape == (512, 512, 3)
    assert pixels.dtype == np.uint8
    assert abs(pixels.mean() - np.asarray(grey).mean()) < 20


def test_what_is_transparent_becomes_white(astronaut):
    alpha = np.full((512, 512, 1), 255, np.uint8)
    alpha[:, :100] = 0
    pixels = decode_photo(encode(np.concatenate([astronaut, alpha], 2)))
    assert (pixels[:, :100] == 255).all()
    np.testing.assert_array_equal(pixels[:, 100:], astronaut[:, 100:])


def test_a_large_photo_is_reduced_and_tracked_alike(open_head, portraits, astronaut):
    large = np.asarray(Image.fromarray(astronaut).resize((4600, 4600), Image.Resampling.BICUBIC))
    tracked = track(encode(large, "JPEG", quality=90), open_head)
    alone = portraits["astronaut"]
    np.testing.assert_allclose(tracked.landmarks[:468, :2], alone.landmarks[:468, :2], atol=6)
    assert np.abs(tracked.image[alone.valid].astype(int) - alone.image[alone.valid]).mean() < 8
