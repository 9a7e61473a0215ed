"""What runs inside Blender: scenes from `backend.people.synthesis.scene` in, Cycles renders out.

The only part of the backend that imports bpy; it is a process of its own, started by the `renderer` beside it, and
imports nothing of the project but itself, so that a Blender's own Python can run it too.
"""
