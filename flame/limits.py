"""Limits on head-model files, so that a stranger's file cannot fill the memory."""

MAX_FILE_BYTES = 1 << 29
"""FLAME's have 50 MiB."""
MAX_ARRAY_BYTES = 1 << 29
"""Of all arrays of one file together."""
MAX_DIMENSIONS = 4
MAX_MEMBERS = 1024
"""Arrays in one .npz."""
MAX_NAME = 256
"""Characters of a region's, shape's or expression's name."""
MAX_COORDINATE = 1e4
"""Metres, and anything else of a head model's numbers."""
