"""Which picture formats are opened. Pillow knows forty, and one of them (EPS) starts another program."""

PHOTO_FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP")
"""Of portraits, decoded in a process of their own."""
DATA_FORMATS = ("AVIF", "JPEG", "PNG", "WEBP")
"""Of data sets and of pictures that we wrote ourselves."""
