"""Images: full-frame images, cutouts, target pixel files, and tables of them."""
