"""Errors of pixels in a typical image, which weigh them before any image is measured."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.io.products.pixels_hdf5 import PixelCube


def typical_noise(cube: PixelCube, region: Window) -> NDArray:
    """Errors of the pixels in the image whose background is the median one.

    Of target pixel files they are those that the average image and that background should have
    by the noise model: to read one cadence, thousands are unpacked.

    Parameters
    ----------
    cube : PixelCube
    region : Window

    Returns
    -------
    (n_rows, n_columns) float64 array
        [e-/s]; where that image has no pixel in the region, those of the image in
        the middle of the ones that have; NaN without any.
    """
    middle = cube.typical_image
    if cube.ccd_id.has_stamps and cube.noise is not None:
        light = cube.average_image(region) + cube.background_in(region, slice(middle, middle + 1))
        return cube.noise.sigma(light[0], region).astype(np.float64)
    noise = cube.read("flux_err", region, slice(middle, middle + 1))[0].astype(np.float64)
    if np.isfinite(noise).any():
        return noise
    has = np.flatnonzero(np.isfinite(cube.read("flux_err", region)).any(axis=(1, 2)))
    one = int(has[len(has) // 2]) if has.size else middle
    return cube.read("flux_err", region, slice(one, one + 1))[0].astype(np.float64)
