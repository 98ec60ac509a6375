"""The engine of the image steps: one exposure, its sky, its pixel flags."""
