"""What changed in the images of all pointings, each compared with the median of its own.

Where stars stand half a pixel from where the reference has them, that does not show what else is
in an image: to first order, the light of bright stars is off by much more than a reflection.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import against_mean
from tessphot_lib.preparation.changes import (
    Changes,
    Images,
    find_changes,
    reference_image,
    reference_images,
)


def find_all_changes(
    images: Images,
    reference: NDArray,
    starlight: NDArray,
    *,
    limit: float,
    usual_sky: NDArray,
    is_good: NDArray,
    level: NDArray,
) -> Changes:
    """Compare all images with the reference of their pointing.

    Parameters
    ----------
    images, reference, starlight, limit, usual_sky
        As of `tessphot_lib.preparation.changes.find_changes`; the reference is of the usual
        pointing.
    is_good : (n_images,) bool array
        Images of which references are made.
    level : (n_images,) array
        Of their sky [e-/s per pixel].

    Returns
    -------
    Changes
        A pointing without any good images is compared with the usual one.
    """
    pointing = images.pointing
    compared = pointing.is_usual.copy()
    parts = []
    for displacement in np.unique(pointing.displacement[~compared], axis=0):
        members = (pointing.displacement == displacement).all(axis=1) & ~pointing.is_usual
        chosen = reference_images(members & is_good, level)
        if chosen.size:
            own = reference_image(images, chosen)
            own = np.where(np.isfinite(own), own, reference)
            moved = replace(images, motion=against_mean(images.motion, chosen))
            parts.append((np.flatnonzero(members), moved, own))
        else:
            compared |= members
    usual = None if compared.all() else np.flatnonzero(compared)
    changes = find_changes(
        images, reference, starlight, limit=limit, chosen=usual, usual_sky=usual_sky
    )
    for members, moved, own in parts:
        light = own + (starlight - reference)
        found = find_changes(moved, own, light, limit=limit, chosen=members, usual_sky=usual_sky)
        for name in ("sky", "error", "packed"):
            getattr(changes, name)[members] = getattr(found, name)[members]
        changes.new_stars += found.new_stars
    return changes
