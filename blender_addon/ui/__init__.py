"""Operators, panels, menus."""
