"""The default avatar: a head model with hair and torso over one texture, posed and filmed as any character."""

from backend.avatars.bust.avatar import BustAvatar, make_bust, register_bust

__all__ = ["BustAvatar", "make_bust", "register_bust"]
