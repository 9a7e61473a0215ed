"""A refiner's folder whose networks train in milliseconds."""

import dataclasses
import json
from pathlib import Path

from backend.refiner import RefinerConfig
from backend.refiner.config import preset_folder


def write_tiny_preset(folder: Path, size: int = 32) -> Path:
    """compact's architecture, narrow and with fewer levels."""
    compact = preset_folder("compact")
    (folder / "unet").mkdir(parents=True)
    (folder / "vae").mkdir()
    dataclasses.replace(RefinerConfig.load(compact), size=size).save(folder)
    unet = json.loads((compact / "unet" / "config.json").read_text()) | {
        "block_out_channels": [8, 16], "attention_head_dim": 2, "cross_attention_dim": 8,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    }  # fmt: skip
    vae = json.loads((compact / "vae" / "config.json").read_text()) | {
        "block_out_channels": [8, 16], "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
    }  # fmt: skip
    (folder / "unet" / "config.json").write_text(json.dumps(unet))
    (folder / "vae" / "config.json").write_text(json.dumps(vae))
    return folder
