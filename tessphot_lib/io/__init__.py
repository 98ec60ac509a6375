"""Bytes to objects and back; no science."""
