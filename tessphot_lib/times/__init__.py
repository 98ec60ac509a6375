"""Barycentric times, and where TESS was."""
