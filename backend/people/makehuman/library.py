"""What lies in a folder of MakeHuman's system assets; what cannot be used is named once and left out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backend.people.makehuman.fitted_mesh import FittedMesh, read_fitted_mesh
from backend.people.makehuman.materials import Material, read_material
from backend.protocol.errors import TurboPortraitError

NEEDED = ("skins", "hair")
"""Folders without which there is nothing to gain."""


@dataclass(frozen=True)
class Asset:
    """A mesh with the materials that it can wear.

    Attributes:
        name: of its .mhclo. path: of its .mhclo. materials: at least one.
    """

    name: str
    path: Path
    materials: tuple[Material, ...]

    def mesh(self) -> FittedMesh:
        """The mesh, read when it is first asked for."""
        return _mesh(self.path)


@lru_cache(maxsize=64)
def _mesh(path: Path) -> FittedMesh:
    return read_fitted_mesh(path)


@dataclass(frozen=True)
class Library:
    """The assets of a folder, each kind by name.

    Attributes:
        skins, eyes: materials. hair, brows, lashes, teeth, clothes, hats: meshes.
        problems: what cannot be used, a sentence each.
    """

    skins: dict[str, Material]
    eyes: dict[str, Material]
    hair: dict[str, Asset]
    brows: dict[str, Asset]
    lashes: dict[str, Asset]
    teeth: dict[str, Asset]
    clothes: dict[str, Asset]
    hats: dict[str, Asset]
    problems: tuple[str, ...]


@lru_cache(maxsize=2)
def open_library(folder: Path) -> Library:
    """Find the assets in a folder, or in the `base` or `data` folder inside it.

    Raises:
        TurboPortraitError: `no_assets`: there are no skins or no hair.
    """
    # Blender reads relative paths from the .blend's folder, not from the process's.
    here = folder.resolve()
    root = next((f for f in (here, here / "base", here / "data") if (f / "skins").is_dir()), None)
    if root is None or not all((root / name).is_dir() for name in NEEDED):
        raise TurboPortraitError("no_assets", f"{folder} has no folders {' and '.join(NEEDED)}")
    problems: list[str] = []

    def materials(paths: list[Path]) -> dict[str, Material]:
        found = {}
        for path in paths:
            try:
                found[path.stem] = read_material(path, problems.append)
            except (OSError, ValueError) as error:
                problems.append(str(error))
        return found

    def assets(kind: str) -> dict[str, Asset]:
        found = {}
        for path in sorted((root / kind).rglob("*.mhclo")):
            beside = sorted({*path.parent.rglob("*.mhmat"), *(root / kind / "materials").glob("*.mhmat")})
            wearable = materials(beside)
            try:
                if not wearable:
                    raise ValueError(f"{path.name}: no material that can be used")
                asset = Asset(path.stem, path, tuple(wearable.values()))
                asset.mesh()
                found[path.stem] = asset
            except (OSError, ValueError, IndexError) as error:
                problems.append(str(error))
        return found

    clothes = assets("clothes")
    hats = {name: asset for name, asset in clothes.items() if _is_hat(asset)}
    library = Library(
        skins=materials(sorted((root / "skins").rglob("*.mhmat"))),
        eyes=materials(sorted((root / "eyes").rglob("*.mhmat"))),
        hair=assets("hair"),
        brows=assets("eyebrows"),
        lashes=assets("eyelashes"),
        teeth=assets("teeth"),
        clothes={name: asset for name, asset in clothes.items() if name not in hats},
        hats=hats,
        problems=(),
    )
    if not library.skins or not library.hair:
        raise TurboPortraitError("no_assets", f"{folder}: no skin or no hair in it can be read: {problems[:3]}")
    return Library(**{**vars(library), "problems": tuple(dict.fromkeys(problems))})


def _is_hat(asset: Asset) -> bool:
    """Whether it is worn on the head: placed by the head's vertices alone."""
    return bool({"hat", "headwear"} & asset.mesh().tags) or "fedora" in asset.name
