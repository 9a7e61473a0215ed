"""MakeHuman's layout with next to nothing in it: a skin, a square of hair over four of the base mesh's vertices."""

from pathlib import Path

import numpy as np
from PIL import Image

MATERIAL = "name {name}\ntag MakeHuman™\ntag {tag}\ndiffuseTexture {name}.png\nshadeless False\n"
OBJ = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nf 1/1 2/2 3/3 4/4\n"
HEADER = "basemesh hm08\ntag Male\nname {name}\nobj_file {name}.obj\nx_scale 5399 11998 1.4\ny_scale 791 881 2.3\n"
HEADER += "z_scale 962 5320 2.0\nmaterial {name}.mhmat\n"


def write_material(path: Path, tag: str = "male", more: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# a material\n\n" + MATERIAL.format(name=path.stem, tag=tag) + more)
    Image.fromarray(np.full((16, 16, 3), (180, 120, 100), np.uint8)).save(path.with_suffix(".png"))


def write_mesh(path: Path, rows: list[str], more: str = "") -> None:
    """A .mhclo of four vertices, with its .obj and material."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER.format(name=path.stem) + "verts 0\n" + "\n".join(rows) + "\n" + more)
    path.with_suffix(".obj").write_text(OBJ)
    write_material(path.with_suffix(".mhmat"))


def write_assets(folder: Path, rows: list[str]) -> Path:
    """A folder with one skin of each sex and one hair."""
    base = folder / "base"
    for sex in ("male", "female"):
        write_material(base / "skins" / f"young_caucasian_{sex}" / f"young_caucasian_{sex}.mhmat", sex)
    write_mesh(base / "hair" / "square" / "square.mhclo", rows)
    return folder
