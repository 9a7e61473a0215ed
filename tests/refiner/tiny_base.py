"""A base model in Stable Diffusion's layout, tiny, and presets that build on it as turbo does on sd-turbo."""

import json
from pathlib import Path

import torch
from tiny_refiners import SIZE, tiny_unet, tiny_vae
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from backend.refiner.config import preset_folder


def write_base(folder: Path, seed: int = 5, unet=None, vae=None) -> Path:
    """unet/, vae/, tokenizer/ and text_encoder/."""
    torch.manual_seed(seed)
    (unet or tiny_unet()).save_pretrained(folder / "unet")
    (vae or tiny_vae(3, 3)).save_pretrained(folder / "vae")
    (folder / "tokenizer").mkdir()
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2}
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(
        str(folder / "tokenizer" / "vocab.json"), str(folder / "tokenizer" / "merges.txt"), model_max_length=7
    ).save_pretrained(folder / "tokenizer")
    CLIPTextModel(
        CLIPTextConfig(
            vocab_size=3, hidden_size=12, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=7, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )
    ).save_pretrained(folder / "text_encoder")  # fmt: skip
    return folder


def write_preset(folder: Path, base: Path, **changes) -> Path:
    """turbo's settings for a tiny base: the size is its own, and no config files say which architecture it must be."""
    settings = json.loads((preset_folder("turbo") / "config.json").read_text())
    folder.mkdir()
    settings |= {"size": SIZE, "base": {"name": str(base)}, **changes}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder
