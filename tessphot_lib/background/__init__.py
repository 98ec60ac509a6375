"""Diffuse light: fits of one image, smoothing, straps, the average image."""
