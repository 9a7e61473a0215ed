"""Every error that a user can meet: a stable code, a sentence, and what to do about it. The one table of them."""

from __future__ import annotations

import errno
import os

ERRORS: dict[str, tuple[str, str]] = {
    # The portrait.
    "not_an_image": (
        "The file is not an image that can be read.",
        "Choose a JPEG, PNG, HEIC, WebP, AVIF or TIFF photograph; if it is one, save it again from an image editor.",
    ),
    "image_too_large": (
        "The image has too many pixels.",
        "Scale the photograph down to at most 8000 pixels on its longer side.",
    ),
    "no_face": (
        "No face was found in the image.",
        "Choose a photograph that shows one face from the front, evenly lit, with both eyes visible.",
    ),
    "face_hidden": (
        "A face was found, but it is turned too far away, covered or blurred.",
        "Use a photo that shows the face from the front, with both eyes, well lit and not covered.",
    ),
    "no_such_face": (
        "The photo shows fewer faces.",
        "Choose a number from 1, counted from the left.",
    ),
    "face_cut": (
        "The face is cut by the border of the image.",
        "Choose a photograph that shows the whole face with some room around it.",
    ),
    "face_too_small": (
        "The face is too small in the image.",
        "Choose a photograph in which the face is at least 64 pixels high, better 300 or more.",
    ),
    # What a request names.
    "unknown_avatar": (
        "The backend does not know this avatar.",
        "Register the portrait again: the backend was restarted, or it needed the memory for newer avatars.",
    ),
    "unknown_maker": ("The backend has no avatar maker of this name.", "Choose one that `turboportrait models` lists."),
    "unknown_head_model": ("The backend has no head model of this name.", "Choose one `turboportrait models` lists."),
    "unknown_preset": ("The backend has no refiner preset of this name.", "Choose one `turboportrait models` lists."),
    "weights_missing": (
        "The weights of this refiner preset are not installed.",
        "Choose another preset, or train or download these; `turboportrait models` shows which are ready.",
    ),
    # Installed models.
    "bad_weights": (
        "The file's weights cannot be used.",
        "Use the file as it was published; if its download was cut, fetch it again.",
    ),
    "bad_refiner": (
        "The folder holds no refiner that can be used.",
        "Use a folder that `turboportrait train refiner` wrote, or one in the layout of docs/models.md.",
    ),
    "bad_base_model": (
        "The folder is not Stable Diffusion Turbo in the layout of diffusers.",
        "Use a copy of stabilityai/sd-turbo with its folders unet, vae, tokenizer and text_encoder.",
    ),
    "bad_model_name": (
        "The name cannot be used for a model.",
        "Choose another with --name: letters, digits, - and _, and none that ships with the program.",
    ),
    "model_exists": (
        "A model of this name is installed already.",
        "Choose another name with --name, or remove the old one with `turboportrait models remove`.",
    ),
    "model_not_installed": ("No such model is installed.", "See `turboportrait models` for what is."),
    "licence_not_agreed": (
        "Nothing was fetched, because the licence was not agreed to.",
        "Read it; if you agree, run the same command with --accept-licence.",
    ),
    "download_failed": (
        "The download did not finish.",
        "Check the network and run the same command again: it goes on where it stopped.",
    ),
    "download_refused": (
        "The server does not give this file.",
        "Fetch it in a browser from the page that `turboportrait models sources` names, and add it by its path.",
    ),
    "download_damaged": (
        "What was downloaded is not the published file, so it was thrown away.",
        "Run the command again; if that happens twice, the file at the source has changed: report it.",
    ),
    "disk_full": (
        "There is not enough room on the disk.",
        "Make room, or choose a folder on a larger disk (TURBOPORTRAIT_MODELS names the one for models).",
    ),
    "read_only": (
        "The disk can only be read.",
        "Choose a folder on another disk, or make this one writable.",
    ),
    "not_refined": (
        "The refiner gave no finite numbers for this frame.",
        "Render it again; if it stays so, choose another preset or --quality raw, or install the preset again.",
    ),
    "model_damaged": (
        "An installed model's file is missing or has changed since it was installed.",
        "Install it again with `turboportrait models add`.",
    ),
    "bad_head_model": (
        "The head model's file cannot be read.",
        "Use a FLAME file (.pkl or .npz) as published, or the open head that ships.",
    ),
    "wrong_head_model": (
        "The avatar maker was trained on another head model.",
        "Choose a FLAME file with 5,023 vertices as the head model, or the avatar maker bust, which takes any head.",
    ),
    "no_mesh": (
        "Avatars of this maker are no mesh.",
        "Preview this avatar with the head model, or with views rendered by the backend.",
    ),
    # The numbers of a request.
    "bad_parameters": (
        "The head's pose, expression or translation cannot be rendered.",
        "Check the head's bones, shape keys and drivers for values that are not finite or far out of range.",
    ),
    "bad_camera": (
        "The camera cannot be rendered.",
        "Check the camera's lens, position and resolution for values that are not finite, zero or too large.",
    ),
    "unsupported_lens": (
        "Only perspective (pinhole) cameras are supported.",
        "Set the camera's lens type to Perspective.",
    ),
    # Batches of shots.
    "batch_refused": (
        "The batch cannot start.",
        "Mend what is named and run it again.",
    ),
    "bad_pose_file": (
        "The pose file cannot be used.",
        "Evaluate the .blend again with this release: leave `--poses` out and give `--blend`.",
    ),
    "no_blender": (
        "Blender could not evaluate the .blend.",
        "Run `pip install bpy`, or name a Blender with `--blender` or in TURBOPORTRAIT_BLENDER.",
    ),
    "no_scene": (
        "The .blend has no scene of this name.",
        "Name one of its own with `--scene`, or leave that out for the one that it was saved in.",
    ),
    "no_view": (
        "Stereoscopy is switched on and no view is to be rendered.",
        "Tick a view in Blender's output properties, under Stereoscopy, or switch that off.",
    ),
    "job_locked": (
        "Another run works on this job.",
        "Wait for it, stop it, or choose another output folder.",
    ),
    "cannot_write": (
        "A file cannot be written.",
        "Check the folder's permissions and the space that is left on its disk.",
    ),
    "worker_lost": (
        "The process that rendered this died each time.",
        "Look at its log for the cause, often too little memory; fewer workers or smaller batches need less.",
    ),
    "no_ray": (
        "Ray cannot be used.",
        "Run `pip install 'turboportrait3d[farm]'`, check the cluster's address, or use `--workers 0`.",
    ),
    "node_differs": (
        "A node of the cluster has another release or other models.",
        "Install the same release and models on every node.",
    ),
    # Performances.
    "bad_performance": (
        "The performance cannot be read.",
        "Use a file that `turboportrait track` wrote; if it was edited by hand, mend the line that is named.",
    ),
    "bad_take": (
        "The face-capture take cannot be read.",
        "Use the CSV of Live Link Face, or the JSON that MediaPipe's face landmarker gives, as they were written.",
    ),
    "bad_video": (
        "The video cannot be read.",
        "Use a video that a player shows, such as MP4, MOV or WebM; if its copy was cut off, copy it again.",
    ),
    "no_face_in_video": (
        "No face was found in the video.",
        "Use a video that shows one face from the front, well lit and not covered.",
    ),
    "no_camera": (
        "The camera cannot be opened.",
        "Check that it is plugged in, that no other program uses it, and that this one may use it.",
    ),
    # Data sets.
    "unknown_data": (
        "The folder holds no data set that is known.",
        "Name the folder of PanoHead-style pictures with dataset.json, of NeRSemble's participants or of Ava-256's "
        "captures; docs/data.md shows each layout.",
    ),
    # Training.
    "missing_package": (
        "A package that this needs is not installed.",
        "Install it with pip; pyproject.toml names the extra that has it.",
    ),
    "bad_corpus": (
        "The training corpus cannot be used.",
        "Make one with `turboportrait data synthesize` and `data convert`, or name its folder; delete damaged shards.",
    ),
    "bad_views": (
        "The views of another system cannot be used.",
        "Make one picture for each view that the exported tasks name, at their size; README.txt beside them says how.",
    ),
    "no_assets": (
        "There are no MakeHuman assets in this folder.",
        "Name the folder that has `skins` and `hair` with --assets; docs/corpus.md says where it is had.",
    ),
    "bad_report": (
        "The report of an evaluation cannot be read.",
        "Name the tables.json that `turboportrait evaluate tables` wrote, or run that again.",
    ),
    "bad_training_config": (
        "The training configuration cannot be used.",
        "Correct what is named; docs/training.md explains every setting.",
    ),
    "training_weights": (
        "Weights of a published network, which training or evaluation asks for, cannot be used.",
        "Put the files that are named in their place; or remove them, or change the configuration, to do without.",
    ),
    "bad_checkpoint": (
        "The checkpoint of this training run cannot be continued.",
        "Continue with the configuration that it was made with, or name another folder with --output.",
    ),
    "diverged": (
        "The training diverged: its loss is no longer a number.",
        "Lower learning_rate or the adversarial weight, then run the command again; it goes on from the checkpoint.",
    ),
    # The wire.
    "malformed_message": (
        "The backend received a message that it cannot read.",
        "Use the add-on and the backend of the same release; if they are, report this as a bug.",
    ),
    "message_too_large": (
        "The message exceeds the protocol's limits.",
        "Send a smaller photograph, or fewer or smaller views in one request.",
    ),
    "protocol_version": (
        "The add-on and the backend speak different versions of the protocol.",
        "Update the older of the two, then restart the backend.",
    ),
    "too_many_requests": (
        "The backend has too many requests waiting.",
        "Wait for earlier requests to finish, then try again.",
    ),
    "superseded": ("A newer request for the same view took its place.", "Nothing to do: the newer view follows."),
    "cancelled": ("The request was cancelled.", "Nothing to do."),
    "timeout": (
        "The backend did not finish in the time allowed.",
        "Try a smaller image, or allow more time in the preferences; the backend's log shows what it is doing.",
    ),
    "backend_unreachable": (
        "The backend cannot be reached.",
        "Start it with the button in the panel or with `turboportrait serve`, and check its address and keys.",
    ),
    "backend_lost": (
        "The backend stopped while it was working.",
        "Start it again; its log says why it stopped. Portraits are registered again as needed.",
    ),
    "backend_not_started": (
        "The backend did not start.",
        "Run `turboportrait doctor` with the Python of the preferences; the backend's log says why it stopped.",
    ),
    "insecure_address": (
        "The backend does not listen on an address that other machines can reach without keys.",
        "Make keys with `turboportrait serve --make-keys DIR`, then serve with `--keys DIR`; "
        "or listen on tcp://127.0.0.1:*.",
    ),
    "bad_address": (
        "The address is not one that the backend can use.",
        "Use tcp://HOST:PORT, with * as the port for any free one, or ipc://PATH.",
    ),
    "out_of_memory": (
        "The backend ran out of memory.",
        "Render at a smaller resolution or fewer views together, or close other programs.",
    ),
    "internal": (
        "The backend met an error that it did not expect.",
        "The backend's log has the details; please report it as a bug with them.",
    ),
}
"""code -> (sentence, hint)"""


class TurboPortraitError(Exception):
    """An error that is shown to the user.

    Attributes:
        code: stable, a key of `ERRORS`.
        sentence: what happened.
        hint: what to do about it.
    """

    def __init__(self, code: str, detail: str = "", *, sentence: str = "", hint: str = "") -> None:
        """Take the sentence and hint from the table; `detail` is appended to the sentence."""
        default_sentence, default_hint = ERRORS.get(code, ERRORS["internal"])
        self.code = code
        self.sentence = (sentence or default_sentence) + (f" ({detail})" if detail else "")
        self.hint = hint or default_hint
        super().__init__(f"{self.sentence} {self.hint} [{self.code}]")


class BackendUnreachable(TurboPortraitError):
    """Nothing answers at the backend's address."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("backend_unreachable", detail)


class BackendLost(TurboPortraitError):
    """The backend answered before, and is gone."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("backend_lost", detail)


def said_error(said: dict) -> TurboPortraitError:
    """What a command with --json says is wrong, as its line has it.

    Raises:
        ValueError: it has no code, sentence and hint.
    """
    match said:
        case {"code": str(code), "sentence": str(sentence), "hint": str(hint)}:
            return TurboPortraitError(code, sentence=sentence, hint=hint)
    raise ValueError("an error without its code, sentence and hint")


_STORAGE = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.EROFS: "read_only",
}
"""No room, none within the user's share, none within the largest file allowed; a disk that is only read."""


def storage_code(error: BaseException | None) -> str:
    """disk_full or read_only where that is why; empty if not. The one mapping of such errors."""
    while error is not None:
        if isinstance(error, TurboPortraitError):
            code = error.code if error.code in _STORAGE.values() else ""
        elif isinstance(error, OSError) and error.errno:
            code = _STORAGE.get(error.errno, "")
        else:
            # Libraries in C++ and Rust pass on the system's words only.
            code = next((code for number, code in _STORAGE.items() if os.strerror(number) in str(error)), "")
        if code:
            return code
        error = error.__cause__ or error.__context__
    return ""


def describe(error: BaseException) -> TurboPortraitError:
    """Any exception as one that can be shown: those with a code keep it, what nobody expected becomes `internal`."""
    if isinstance(error, TurboPortraitError):
        return error
    if isinstance(error, MemoryError):
        return TurboPortraitError("out_of_memory")
    if storage := storage_code(error):
        return TurboPortraitError(storage, str(error)[:300])
    code = getattr(error, "code", None)
    if isinstance(code, str) and code in ERRORS:
        return TurboPortraitError(code, sentence=getattr(error, "sentence", ""), hint=getattr(error, "hint", ""))
    return TurboPortraitError("internal", f"{type(error).__name__}: {error}"[:300])
