"""MakeHuman's material files (.mhmat): which pictures a mesh wears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

MOST_BYTES, MOST_PIXELS = 64_000_000, 8192
TEXTURES = ("diffuseTexture", "normalmapTexture")
KNOWN = frozenset((
    *TEXTURES, "bumpTexture", "aomapTexture", "//",
    "name", "tag", "description", "uuid", "ambientColor", "diffuseColor", "specularColor",
    "emissiveColor", "shininess", "opacity", "translucency", "shadeless", "wireframe", "transparent", "alphaToCoverage",
    "backfaceCull", "depthless", "castShadows", "receiveShadows", "sssEnabled", "sssRScale", "sssGScale", "sssBScale",
    "shader", "shaderParam", "shaderConfig", "diffuseIntensity", "bumpmapIntensity", "normalmapIntensity",
    "displacementmapTexture", "displacementmapIntensity", "specularmapTexture", "specularmapIntensity",
    "transparencymapTexture", "transparencymapIntensity", "aomapIntensity", "viewPortColor", "viewPortAlpha",
    "uvMap", "blendMaterial", "autoBlendSkin", "roughness", "metallic", "ior",
))  # fmt: skip
"""The keys that MakeHuman and MPFB write; the rendering here needs few of them."""


@dataclass(frozen=True)
class Material:
    """What a .mhmat says that is used here.

    Attributes:
        name: of the file, without its ending. tags: in small letters.
        diffuse: the colour picture. normal: the normal map, or None.
    """

    name: str
    tags: frozenset[str]
    diffuse: Path
    normal: Path | None = None


def read_material(path: Path, complain: Callable[[str], None] = lambda problem: None) -> Material:
    """Read a .mhmat file.

    Args:
        complain: told what is not understood; the rest is used all the same.

    Raises:
        ValueError: it has no colour picture, or one that cannot be read. OSError: it cannot be read.
    """
    tags, textures = set(), {}
    for line in read_lines(path):
        key, _, value = line.partition(" ")
        if key == "tag":
            tags.add(value.strip().lower())
        elif key in TEXTURES:
            textures[key] = path.parent / value.strip()
        elif key not in KNOWN:
            complain(f"{path.name}: unknown key {key}")
    if "diffuseTexture" not in textures:
        raise ValueError(f"{path}: no diffuseTexture")
    for kind, texture in list(textures.items()):
        try:
            _check_picture(texture)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            if kind == "diffuseTexture":
                raise ValueError(f"{path.name}: {texture.name} cannot be read: {error}") from error
            complain(f"{path.name}: {texture.name} cannot be read and is left out")
            del textures[kind]
    return Material(path.stem, frozenset(tags), textures["diffuseTexture"], textures.get("normalmapTexture"))


def read_lines(path: Path) -> list[str]:
    """The lines of a text file of MakeHuman's, stripped, without comments and empty ones.

    Raises:
        ValueError: it is larger than any of them is. OSError: it cannot be read.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} has more than {MOST_BYTES} bytes")
    lines = (line.strip() for line in path.read_text(errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _check_picture(path: Path) -> None:
    with Image.open(path, formats=["PNG", "JPEG"]) as picture:
        if max(picture.size) > MOST_PIXELS:
            raise ValueError(f"{picture.size} pixels")
        picture.verify()
