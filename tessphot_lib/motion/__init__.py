"""Image motion from the positions of stars."""
