"""A block of the workflow (``blocks/<block>.hdf5``) made of arrays."""

import numpy as np

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.products.block_hdf5 import IMAGE_COLUMNS, CubeBuffer, write_block

CCD = CcdId(14, 2, 3)


def write_images_block(
    path, window, flux, *, flux_err=1.0, pixel_flags=None, images=None, ccd_id=CCD, **more
):
    """Write images (n, n_rows, n_columns), sky included, unrounded; returns the path.

    ``flux_err`` is an array like ``flux`` or a number, ``images`` has those of `IMAGE_COLUMNS`
    that are not just the numbers of the images. ``more`` goes to `write_block`; the sums are 0
    by default.
    """
    cubes = CubeBuffer(window, len(flux), 0.0)
    flux_err = np.broadcast_to(np.asarray(flux_err, dtype=np.float32), np.shape(flux))
    for index, image in enumerate(flux):
        cubes.put(index, np.asarray(image, dtype=np.float32), flux_err[index])
    if pixel_flags is not None:
        cubes.pixel_flags[...] = pixel_flags
    given = {name: np.zeros(window.shape) for name in ("flux_sum", "flux_count")}
    given |= {"motion_stars": {}, "attributes": {}} | more
    columns = {name: np.arange(len(flux)) for name in IMAGE_COLUMNS} | (images or {})
    write_block(path, cubes, ccd_id, images=columns, **given)
    return path
