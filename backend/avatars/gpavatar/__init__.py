"""GPAvatar (Chu et al., ICLR 2024): the published avatar network, written anew and loading its published weights."""

from backend.avatars.gpavatar.avatar import GPAvatar, Renderer, register_gpavatar

__all__ = ["GPAvatar", "Renderer", "register_gpavatar"]
