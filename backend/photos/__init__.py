"""Picture files of strangers to pixels, in a process of its own that is bounded in time and memory."""

from backend.photos.decoder import Photo, decode_photo, start_decoder
from backend.photos.files import find_photos, read_photo
from backend.photos.formats import DATA_FORMATS, PHOTO_FORMATS

__all__ = ["DATA_FORMATS", "PHOTO_FORMATS", "Photo", "decode_photo", "find_photos", "read_photo", "start_decoder"]
