"""The published runs' configurations (TOML)."""

from pathlib import Path

CONFIGS = Path(__file__).parent
