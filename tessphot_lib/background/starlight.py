"""How much starlight the background of a mesh holds."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.background.mesh_fit import (
    CLIP,
    WIDE_CLIP,
    SkySampler,
    clipped_cell_means,
    filled,
    nodes_of_means,
)

OFFSET_SEED = 1  # of the noise that is added to the average image, to clip it like one image


def starlight_offset(
    average_image: NDArray, stars: NDArray, sampler: SkySampler, error: NDArray
) -> NDArray:
    """Compute how much the light of stars makes `fit_background` too high or too low.

    Its clipped means hold the wings of known stars, and lack much of the light
    of unknown ones, which are part of the background. Both do not change in
    time, and the average image shows them: clipped as one image is, and with
    the known stars taken off and a wider clip.

    Parameters
    ----------
    average_image : (n_rows, n_columns) array
        [e-/s per pixel], of any level.
    stars : (n_rows, n_columns) array
        Light of known stars; what they have outside their masks matters.
    sampler : SkySampler
        What the backgrounds were fitted with.
    error : (n_cell_rows, n_cell_columns) array
        Typical error of the cells' means in one image.

    Returns
    -------
    (n_cell_rows, n_cell_columns) float64 array
        Nodes, to be subtracted from every background; zero where no cell
        shows sky.
    """
    rng = np.random.default_rng(OFFSET_SEED)
    scatter = np.median(np.asarray(error).ravel() * np.sqrt(np.maximum(sampler.counts, 1)))
    own = clipped_cell_means(average_image, sampler, CLIP)[1] * np.sqrt(sampler.counts)
    confusion = np.nanmedian(own) if np.isfinite(own).any() else 0.0
    noise = np.sqrt(max(scatter**2 - confusion**2, 0.0)) * rng.standard_normal(average_image.shape)
    level, _ = clipped_cell_means(average_image + noise, sampler, CLIP)
    wanted, _ = clipped_cell_means(average_image + noise - stars, sampler, WIDE_CLIP)
    offset = (level - wanted).reshape(sampler.mesh.shape)
    if not np.isfinite(offset).any():
        return np.zeros(sampler.mesh.shape)
    return nodes_of_means(filled(offset), sampler.mesh)
