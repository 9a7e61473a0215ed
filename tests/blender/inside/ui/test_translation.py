"""What the user reads goes through Blender's translation: panels, reports, messages of buttons that can't be pressed.

bpy from PyPI has no dictionaries, so the functions that look words up are replaced by one that marks what it was asked;
tests/desktop looks a real dictionary's words up in a real Blender.
"""

import ast
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest

import blender_addon
from backend.client import TurboPortraitError
from backend.protocol.errors import ERRORS
from backend.protocol.messages import StatusReply
from blender_addon.connection import error_text, installer, preferences
from blender_addon.connection.link import link
from blender_addon.scene.head import add_head
from blender_addon.shots import batch_runs
from blender_addon.shots.batch_process import BatchProgress, ShotProgress
from blender_addon.ui import head_panels, panels, shots_panel
from blender_addon.ui.layout import draw_paragraph

USER = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))
ROOM = Path(blender_addon.__file__).parent


def marked(text: str, context: str | None = None) -> str:
    """A word as it is after translation."""
    return text if not text or text.startswith("«") else f"«{text}»"


@pytest.fixture
def translated(addon, monkeypatch):
    """The extension's look-ups are marked."""
    for name, module in list(sys.modules.items()):
        if name.startswith("blender_addon"):
            for function in ("iface_", "rpt_"):
                if hasattr(module, function):
                    monkeypatch.setattr(module, function, marked)


class Layout:
    """Takes down what a layout would show; translates what Blender itself would."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def row(self, **options) -> "Layout":
        return self

    column = box = row

    def label(self, text: str = "", translate: bool = True, **options) -> None:
        self.shown.append(marked(text) if translate else text)

    def progress(self, text: str = "", translate: bool = True, **options) -> None:
        self.label(text, translate)

    def prop(self, owner, name: str, text: str = "", translate: bool = True, **options) -> None:
        assert name in owner.bl_rna.properties
        self.label(text, translate)

    def operator(self, name: str, text: str = "", translate: bool = True, **options) -> SimpleNamespace:
        self.label(text, translate)
        return SimpleNamespace()

    def template_list(self, *arguments, **options) -> None:
        pass


def draw(cls) -> list[str]:
    layout = Layout()
    context = SimpleNamespace(
        scene=bpy.context.scene,
        object=bpy.context.object,
        preferences=USER,
        region=SimpleNamespace(width=300),
        engine="TURBOPORTRAIT3D",
        evaluated_depsgraph_get=bpy.context.evaluated_depsgraph_get,
    )
    cls.draw(SimpleNamespace(layout=layout), context)
    return [text for text in layout.shown if re.search("[a-z]{2}", text)]


def visible(cls) -> bool:
    """A panel whose poll and whose parents' polls agree."""
    parent = getattr(bpy.types, getattr(cls, "bl_parent_id", ""), None)
    return (parent is None or visible(parent)) and (not hasattr(cls, "poll") or cls.poll(bpy.context))


@pytest.fixture
def backend(monkeypatch):
    """backend(**state): what the panel knows of the backend."""

    def show(**state):
        known = {"ready": False, "busy": False, "owns_process": False, "can_cancel": False, "failed": False}
        known |= {"message": "", "fraction": None, "health": None}
        monkeypatch.setattr(panels, "link", SimpleNamespace(**known | state))

    return show


HEALTH = StatusReply(
    id=1,
    uptime=1.0,
    pid=1,
    device="cpu",
    clients=1,
    queued=0,
    running="",
    avatars=("a", "b"),
    avatar_bytes=0,
    resident_bytes=1 << 30,
)
STATES = {
    "nothing": {},
    "busy": {"busy": True, "message": "Making the environment", "fraction": 0.4, "can_cancel": True},
    "failed": {"failed": True, "message": "No face was found in the image."},
    "ready": {"ready": True, "health": HEALTH},
    "ours": {"ready": True, "owns_process": True, "message": "The backend is ready"},
}


@pytest.mark.parametrize("state", STATES)
def test_the_backends_panel_is_translated(translated, backend, scene, state, monkeypatch):
    backend(**STATES[state])
    command = None if state == "nothing" else ("python",)
    monkeypatch.setattr(preferences, "connection", lambda: preferences.ConnectionSettings(command=command))
    for reason in ("", installer.can_install()):
        monkeypatch.setattr(installer, "can_install", lambda reason=reason: reason)
        shown = draw(panels.BackendPanel)
        assert shown or state == "nothing"
        whole = " ".join(shown)
        # A paragraph is translated as a whole, then parted: its first line begins and its last line ends with a mark.
        assert whole.count("«") == whole.count("»") > 0, shown
        assert re.sub("«.*?»", "", whole).replace("cpu, 1024 MB,", "").strip() == "", shown


def test_the_other_panels_are_translated(translated, backend, scene, head_model, tmp_path, monkeypatch):
    backend()
    unmarked = []
    run = SimpleNamespace(running=True, progress=BatchProgress(tmp_path, {"close up": ShotProgress(4, 2, 1)}))
    monkeypatch.setattr(batch_runs, "run_of", lambda scene: run)
    for step in ("empty", "head", "camera"):
        if step == "head":
            head = add_head(bpy.context, head_model, "Ada")
            head.turboportrait.avatar_id = "known"
            head.turboportrait.portrait_parameters = "{}"
            head.turboportrait.portrait = bpy.data.images.new("ada.png", 1, 1)
            scene.turboportrait_shots.output = str(tmp_path)
            shot = scene.turboportrait_shots.items.add()
            shot.name = "close up"
        if step == "camera":
            bpy.context.view_layer.objects.active = scene.camera
        for cls in (*panels.CLASSES[1:], *head_panels.CLASSES, shots_panel.ShotsPanel):
            if visible(cls):
                unmarked += [text for text in draw(cls) if not text.startswith("«") and not text.endswith("»")]
    keys = {key.name for key in head_panels.expression_keys(head)}
    assert set(unmarked) - keys == {"ada.png"}
    bpy.context.view_layer.objects.active = head
    assert "«Portrait for Ada»" in draw(panels.PortraitPanel)
    scene.turboportrait_shots.items.clear()


def test_a_line_of_the_shot_list_is_translated(translated, scene, monkeypatch):
    item = scene.turboportrait_shots.items.add()
    item.name = "wide"
    progress = SimpleNamespace(shots={"wide": ShotProgress(4, 2, 1)})
    monkeypatch.setattr(batch_runs, "run_of", lambda scene: SimpleNamespace(progress=progress))
    layout = Layout()
    shots_panel.ShotUIList.draw_item(None, bpy.context, layout, None, item, 0, None, "")
    assert layout.shown[-2:] == ["wide", "«2 of 4, 1 failed»"]
    scene.turboportrait_shots.items.clear()


def test_the_preferences_are_translated(translated):
    chosen = bpy.context.preferences.addons["blender_addon"].preferences
    layout = Layout()
    type(chosen).draw(SimpleNamespace(layout=layout, address="", bl_rna=chosen.bl_rna), bpy.context)
    assert all(not text or text.startswith("«") for text in layout.shown)


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_is_translated_around_its_detail(translated, code):
    sentence, hint = (f"«{text}»" for text in ERRORS[code])
    assert error_text.message_of(TurboPortraitError(code)) == f"{sentence} {hint}"
    assert error_text.message_of(TurboPortraitError(code, "detail 7")) == f"{sentence} (detail 7) {hint}"
    assert error_text.message_of(TurboPortraitError(code, sentence="Other.", hint="Do.")) == "«Other.» «Do.»"


def test_the_panels_line_is_translated_when_it_is_said(translated):
    link.say("Cancelled")
    assert link.message == "«Cancelled»"
    link.say("")


def test_a_paragraph_is_translated_before_it_is_parted(translated):
    layout = Layout()
    context = SimpleNamespace(preferences=USER, region=SimpleNamespace(width=260))
    draw_paragraph(context, layout, "Choose a photo that shows one face from the front.", "INFO")
    assert len(layout.shown) > 1
    assert " ".join(layout.shown) == "«Choose a photo that shows one face from the front.»"


SAYING = {"report", "say", "poll_message_set", "label", "progress", "operator", "prop", "TaskProgress", "warn"}
SAYING |= {"CameraError", "ValueError", "TurboPortraitError", "draw_paragraph", "iface_", "rpt_"}


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_is_put_into_a_text_before_it_is_translated(path):
    """An f-string with words in it never is in a dictionary."""
    found = []
    for call in ast.walk(ast.parse(path.read_text())):
        name = getattr(getattr(call, "func", None), "attr", getattr(getattr(call, "func", None), "id", None))
        if not isinstance(call, ast.Call) or name not in SAYING:
            continue
        # What operators and properties are called is not for the user's eyes.
        given = [*(call.args if name not in ("operator", "prop") else ()), *(word.value for word in call.keywords)]
        for argument in given:
            for node in ast.walk(argument):
                parts = node.values if isinstance(node, ast.JoinedStr) else ()
                if any(isinstance(part, ast.Constant) and re.search("[a-z]{2}", part.value) for part in parts):
                    found.append(f"{path.name}:{node.lineno}")
    assert not found
