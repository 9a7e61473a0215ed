"""Performances in Blender: read or tracked, then keyframes of a head."""
