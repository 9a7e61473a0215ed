"""The render backend: portraits in, posed and refined views out.

Importing this package, `backend.protocol` or `backend.client` never loads torch, so Blender can use them.
"""
