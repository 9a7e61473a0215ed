"""One portrait in, an animated shot, a contact sheet and a report out."""
