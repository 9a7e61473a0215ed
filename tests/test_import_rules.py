"""The rooms' import rules (docs/architecture.md), held by the source itself."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STANDARD = set(sys.stdlib_module_names) | {"__future__"}

RULES = {
    # room: (what its files may import beside the standard library, files with more)
    "flame": ({"flame", "numpy"}, {}),
    "backend/protocol": (
        {"backend.protocol", "numpy", "msgspec"},
        {
            "backend/protocol/pose_file.py": {"flame.limits", "flame.npz"},
            **{
                f"backend/protocol/{name}.py": {"flame.rotations"}
                for name in ("retargeting", "live_link_face", "face_landmarker")
            },
        },
    ),
    "backend/client": ({"backend.protocol", "backend.client", "numpy", "zmq", "msgspec"}, {}),
    "blender_addon": (
        {"bpy", "bpy_extras", "bl_ui", "blf", "bmesh", "gpu", "gpu_extras", "idprop", "imbuf", "mathutils", "numpy"}
        | {"blender_addon", "flame", "backend.client", "backend.protocol"},
        {},
    ),
}
LAYERS = {
    "backend": [
        *(
            "protocol",
            "client",
            "onnx_session",
            "models",
            "geometry",
            "photos",
            "tracking",
            "avatars",
            "refiner",
            "pipeline",
        ),
        *(
            "server",
            "batch",
            "interruption",
            "people",
            "metrics",
            "training",
            "evaluation",
            "bench",
            "demo",
            "commands",
        ),
    ],
    "backend/refiner": [
        *("head_space", "views", "config", "network", "base_model", "storage", "runtime", "refiner", "export"),
        "installation",
    ],
    "blender_addon": ["package_name", "scene", "connection", "live", "render", "shots", "performance", "ui"],
}
"""A room may import those before it, so that there is no circle."""
IN_BLENDER = "backend/people/synthesis/studio/"
"""Runs inside Blender's Python, in a process of its own, and is imported by nothing else."""
NEVER = {
    "backend": {"bpy", "bpy_extras", "mathutils", "gpu", "blender_addon"},
    "backend/evaluation": {"backend.training"},
}


def imports(path: Path, nodes=ast.walk):
    """The full names of all modules that a file imports, at its top or inside.

    Args:
        nodes: those of the tree to look at.
    """
    package = path.relative_to(ROOT).parent.parts
    for node in nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(name: str, allowed: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in allowed)


def files(room: str):
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", RULES)
def test_a_room_imports_only_what_it_may(room):
    allowed, exceptions = RULES[room]
    assert files(room)
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(room)
        for name in imports(path)
        if name.split(".")[0] not in STANDARD
        and not within(name, allowed | exceptions.get(str(path.relative_to(ROOT)), set()))
    ]
    assert not wrong


@pytest.mark.parametrize("room", NEVER)
def test_a_room_never_imports_what_it_must_not(room):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(room)
        if not path.relative_to(ROOT).as_posix().startswith(IN_BLENDER)
        for name in imports(path)
        if within(name, NEVER[room])
    ]
    assert not wrong


@pytest.mark.parametrize("top", LAYERS)
def test_a_room_imports_only_rooms_below_it(top):
    wrong = []
    for path in files(top):
        room = path.relative_to(ROOT / top).parts[0].removesuffix(".py")
        if (room in ("__init__", "demo") and top == "blender_addon") or room == "__init__":
            continue
        below = LAYERS[top][: LAYERS[top].index(room) + 1]
        for name in imports(path):
            inside = f"{top.replace('/', '.')}."
            if name.startswith(inside) and name.removeprefix(inside).split(".")[0] not in below:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_no_files_import_each_other_in_a_circle():
    """At their tops; what is imported inside a function may need the file that is being imported."""
    paths = {path: module(path) for room in (*LAYERS, "flame") for path in files(room)}
    known = set(paths.values())
    graph = {name: set() for name in known}
    for path, name in paths.items():
        for imported in imports(path, nodes=lambda tree: tree.body):
            found = imported if imported in known else imported.rpartition(".")[0]
            if found in known and found != name:
                graph[name].add(found)
    graphlib.TopologicalSorter(graph).prepare()


def module(path: Path) -> str:
    """A file's name as a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_what_blender_imports_brings_in_nothing_heavy():
    code = (
        "import backend.client, backend.protocol, backend.protocol.messages, flame, sys;"
        "heavy = {'torch', 'scipy', 'numba', 'cv2', 'mediapipe', 'diffusers', 'psutil', 'PIL'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert found.strip() == "[]"


LIGHT = ("backend.server", "backend.pipeline", "backend.tracking", "backend.avatars.bust", "backend.batch.run",
         "backend.batch.rendering", "backend.commands.serve", "backend.refiner.runtime.onnx_refiner")  # fmt: skip
"""All of the default way."""


def test_the_light_backend_imports_neither_torch_nor_what_builds_on_it():
    code = (
        f"import importlib, sys; [importlib.import_module(name) for name in {LIGHT}];"
        "heavy = {'torch', 'diffusers', 'transformers', 'peft', 'accelerate', 'mediapipe', 'matplotlib', 'skimage'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert found.strip() == "[]"


def test_a_class_name_stands_for_one_thing():
    places: dict[str, list[str]] = {}
    for room in ("backend", "blender_addon", "flame"):
        for path in files(room):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    # What the pipeline asks of a refiner, and the one on torch.
    assert places.pop("Refiner") == ["backend/pipeline/catalog.py", "backend/refiner/refiner.py"]
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
