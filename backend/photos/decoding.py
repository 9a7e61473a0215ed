"""What the decoder's process runs: pictures in, pixels out, one after another, until its input ends.

It is started as a file by `python -I -S`, so it imports nothing of ours. A request is `REQUEST`, then the file's bytes.
An answer is `ANSWER`; where its status is 0, height x width x channels bytes follow: sRGB over white, and where the
file is transparent somewhere its alpha.
"""

import contextlib
import io
import signal
import struct
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

REQUEST = struct.Struct("<QQIQ")
"""Bytes of the file; limits: pixels of the picture, pixels of a side of the answer, seconds."""
ANSWER = struct.Struct("<BIIB")
"""Status, width, height, channels."""
STRIPE = 64
"""Rows that are sent together."""
OK, NO_IMAGE, TOO_LARGE = range(3)
ORIENTATION = 0x0112
_TURNS: dict[int, "Image.Transpose"] = {}
"""By EXIF's orientation; filled when Pillow is there."""


def main(memory: int, formats: list[str]) -> None:
    """Answer requests."""
    _limit(memory)
    _load_plugins(formats)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while len(header := source.read(REQUEST.size)) == REQUEST.size:
        size, most_pixels, side, seconds = REQUEST.unpack(header)
        data = source.read(size)
        if hasattr(signal, "alarm"):
            # Whoever asked may be gone when this ends: then nobody else ends it.
            signal.alarm(seconds)
        status, size, image = _answer(data, formats, most_pixels, side)
        target.write(ANSWER.pack(status, *size, len(image.getbands()) if image else 0))
        for top in range(0, size[1] if image else 0, STRIPE):
            # While the other side reads one part the next is made.
            target.write(image.crop((0, top, size[0], min(top + STRIPE, size[1]))).tobytes())
        target.flush()
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def _answer(data: bytes, formats: list[str], most_pixels: int, side: int) -> tuple:
    """Status, width and height, and the picture where it is to be had."""
    size = 0, 0
    try:
        with Image.open(io.BytesIO(data), formats=formats) as opened:
            size = opened.size
            if size[0] * size[1] > most_pixels:
                return TOO_LARGE, size, None
            image = _upright(opened, side)
            return OK, image.size, image
    except MemoryError:
        return TOO_LARGE, size, None
    # Damaged files make their readers raise anything.
    except Exception:
        return NO_IMAGE, (0, 0), None


def _upright(image: "Image.Image", side: int) -> "Image.Image":
    """At most `side` pixels wide and high, upright by its EXIF orientation, RGB or RGBA over white."""
    orientation = None
    with contextlib.suppress(Exception):  # of a damaged EXIF; the picture may be well
        orientation = image.getexif().get(ORIENTATION)
    # JPEGs far larger than needed are decoded at half or a quarter of their size.
    image.draft("RGB", (side, side))
    if image.mode.startswith("I"):
        # Sixteen-bit grey: Pillow's own conversion clips instead of scaling.
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    profile = image.info.get("icc_profile")
    if image.mode not in ("CMYK", "L", "LAB") or not profile:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if profile:
        image = _to_srgb(image, profile)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    if image.mode == "RGBA":
        alpha = image.getchannel("A")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        if alpha.histogram()[255] < alpha.width * alpha.height:
            image.putalpha(alpha)
    return image


def _to_srgb(image: "Image.Image", profile: bytes) -> "Image.Image":
    """RGB or RGBA, from the colour space of the file's ICC profile; where that is damaged as if there were none."""
    from PIL import ImageCms

    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).startswith("sRGB"):
            return image.convert(mode)
        # What is outside sRGB is clipped; black stays black, as photo software does.
        to_srgb = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            image.mode,
            mode,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return to_srgb.apply(image)
    return image.convert(mode)


def _limit(memory: int) -> None:
    """Bound this process's memory, and let it write no file, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _load_plugins(formats: list[str]) -> None:
    global Image
    from PIL import Image

    Image.init()
    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener

        # Its threads would each take a stack of the memory that is allowed.
        register_heif_opener(thumbnails=False, decode_threads=1)
    formats[:] = [name for name in formats if name in Image.OPEN]
    # Ours is another limit than Pillow's.
    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("ignore")
    turn = Image.Transpose
    turns = [turn.FLIP_LEFT_RIGHT, turn.ROTATE_180, turn.FLIP_TOP_BOTTOM]
    turns += [turn.TRANSPOSE, turn.ROTATE_270, turn.TRANSVERSE, turn.ROTATE_90]
    _TURNS.update(enumerate(turns, start=2))


if __name__ == "__main__":
    sys.path += sys.argv[3:]
    main(int(sys.argv[1]), sys.argv[2].split(","))
