"""The relief avatar: the head model fitted to the photo, hair and shoulders as a relief, no trained weights."""

from backend.avatars.relief.avatar import ReliefAvatar, register_relief

__all__ = ["ReliefAvatar", "register_relief"]
