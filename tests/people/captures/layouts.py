"""Folders in the exact published layouts, filled from a rig."""

import csv
import io
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from backend.people.captures.panohead import UNIT

HALF = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
DISTORTION = (-0.07, 0.04, -0.0033, 0.003)


def write_nersemble_1(folder: Path, rig, person: str = "018", sequence: str = "EMO-1-shout+laugh") -> Path:
    """Version 1: frames as PNG, at half the calibration's resolution and less; gives the person's folder."""
    shots, root = rig.shots, folder / person
    frame = root / "sequences" / sequence / "frame_00007"
    for name in ("images-2x-73fps", "alpha_map-73fps"):
        (frame / name).mkdir(parents=True)
    for shot in shots:
        Image.fromarray(shot.image).save(frame / "images-2x-73fps" / f"cam_{shot.name}.png")
        Image.fromarray(shot.mask).save(frame / "alpha_map-73fps" / f"cam_{shot.name}.png")
    (root / "camera_params.json").write_text(json.dumps(_params(shots, 2200, 3208)))
    return root


def write_nersemble_benchmark(folder: Path, rig, person: str = "461", frames: int = 3) -> Path:
    """The benchmark: movies, alpha maps, FLAME tracking, intrinsics per camera and of the movies' size."""
    root, shots = folder / person, rig.shots
    sequence = root / "sequences" / "EXP-2-eyes"
    for name in ("images", "alpha_maps", "tracking"):
        (sequence / name).mkdir(parents=True)
    (root / "calibration").mkdir()
    for shot in shots:
        for name, picture in (("images", shot.image), ("alpha_maps", np.repeat(shot.mask[..., None], 3, 2))):
            size = picture.shape[1::-1]
            movie = cv2.VideoWriter(
                str(sequence / name / f"cam_{shot.name}.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 24, size
            )
            for _ in range(frames):
                movie.write(picture[..., ::-1])
            movie.release()
    params = _params(shots, shots[0].over_head.width, shots[0].over_head.height)
    params["intrinsics"] = {shot.name: params["intrinsics"] for shot in shots}
    (root / "calibration" / "camera_params.json").write_text(json.dumps(params))
    np.savez(
        sequence / "tracking" / "flame2023_tracking.npz",
        shape=np.ones((1, 300), np.float32), scale=np.ones((1, 1), np.float32), frames=np.arange(frames),
        expression=np.arange(frames)[:, None] * np.ones((1, 100), np.float32),
        rotation=np.zeros((frames, 3)), rotation_matrices=np.tile(np.eye(3), (frames, 1, 1)),
        translation=np.zeros((frames, 3)), jaw=np.zeros((frames, 3)), neck=np.zeros((frames, 3)),
        eyes=np.zeros((frames, 6)),
    )  # fmt: skip
    return root


def write_ava256(folder: Path, rig, capture: str = "20230405--1635--AAN112", frame: int = 123) -> Path:
    """A capture: zips of AVIF frames with lens distortion, segmentation, calibration by columns and in millimetres."""
    decoder = folder / capture / "decoder"
    for name in ("image", "segmentation_parts"):
        (decoder / name).mkdir(parents=True)
    cameras = []
    for shot in rig.shots:
        K = shot.over_head.intrinsics - HALF
        label = np.where(shot.mask > 127, np.uint8(1), np.uint8(3))
        label[-400:] = np.where(shot.mask[-400:] > 127, np.uint8(4), np.uint8(0))
        image, label = _distorted(shot.image, K), _distorted(label, K, labels=True)
        files = (("image", image, "avif", {"quality": 95}), ("segmentation_parts", label, "png", {}))
        for name, picture, kind, settings in files:
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, kind.upper(), **settings)
            with zipfile.ZipFile(decoder / name / f"cam{shot.name}.zip", "w") as archive:
                archive.writestr(f"cam{shot.name}/{frame:06d}.{kind}", buffer.getvalue())
        full = np.diag([2668 / image.shape[1], 4096 / image.shape[0], 1]) @ shot.over_head.intrinsics - HALF
        pose = shot.world_to_camera.copy()
        pose[:3, 3] *= 1000
        cameras.append({
            "cameraId": shot.name, "projectionModel": "Pinhole", "distortionModel": "RadialAndTangential",
            "K": full.T.tolist(), "distortion": list(DISTORTION), "T": pose.T.tolist(),
        })  # fmt: skip
    (decoder / "camera_calibration.json").write_text(json.dumps({"KRT": cameras}))
    with (decoder / "frame_list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("seg_id", "frame_id"), ("EXP_neutral_peak", frame)])
    return decoder


def write_panohead(folder: Path, rig, person: str = "seed0001", yaws: tuple[int, ...] = (3, -20, 20)) -> Path:
    """Square pictures that show the head as PanoHead's do, labelled; gives the folder of the pictures."""
    from backend.people.captures.alignment import HeadFrame, aligned_camera
    from backend.people.captures.subject import SourceCamera
    from backend.protocol.camera import Camera
    from flame import load_head_model

    images, masks = folder / "generated_img", folder / "generated_seg"
    for path in (images / person, masks / person):
        path.mkdir(parents=True, exist_ok=True)
    path = images / "dataset.json"
    labels = json.loads(path.read_text())["labels"] if path.is_file() else []
    tracked = rig.avatar.tracked
    frame = HeadFrame.of_landmarks(_embedded(load_head_model()).landmark_positions(tracked.vertices).astype(float))
    for number, shot in enumerate(shot for shot in rig.shots if shot.yaw in yaws):
        source = shot.over_head
        over = SourceCamera(source.intrinsics, source.extrinsics, source.width, source.height)
        # Its cameras look at the middle of its space.
        camera = aligned_camera(over, frame, 512)
        in_head = Camera.from_arrays(
            camera.intrinsics, camera.extrinsics @ np.linalg.inv(frame.to_world), camera.width, camera.height
        )
        picture = rig.picture(in_head)
        mask = rig.avatar.render([in_head], tracked.parameters)[0].rgba[..., 3]
        name = f"{person}/{number:02d}.png"
        Image.fromarray(picture).save(images / name)
        Image.fromarray(mask).save(masks / name)
        to_world = np.linalg.inv(camera.extrinsics)
        to_world[:3, 3] /= UNIT
        K = np.diag([1 / 512, 1 / 512, 1]) @ camera.intrinsics
        labels.append([name, [f"{value:.6f}" for value in (*to_world.ravel(), *K.ravel())]])
    path.write_text(json.dumps({"labels": labels}, indent="\t"))
    return images


def _embedded(model):
    from backend.tracking.embedding import with_landmarks

    return with_landmarks(model)


def _params(shots, width: int, height: int) -> dict:
    camera = shots[0].over_head
    K = np.diag([width / camera.width, height / camera.height, 1]) @ camera.intrinsics - HALF
    return {
        "world_2_cam": {shot.name: shot.world_to_camera.tolist() for shot in shots},
        "intrinsics": K.tolist(),
    }


def _distorted(image: np.ndarray, K: np.ndarray, labels: bool = False) -> np.ndarray:
    """What a lens with DISTORTION shows of what a pinhole shows as `image`."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float64)
    pixels = np.stack([x, y], -1).reshape(-1, 1, 2)
    ideal = cv2.undistortPoints(pixels, K, np.array(DISTORTION), P=K).reshape(*image.shape[:2], 2).astype(np.float32)
    way = cv2.INTER_NEAREST if labels else cv2.INTER_CUBIC
    return cv2.remap(image, ideal[..., 0], ideal[..., 1], way, borderMode=cv2.BORDER_REPLICATE)
