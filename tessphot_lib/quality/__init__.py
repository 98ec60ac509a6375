"""Quality flags of images, pixels and light curves."""
