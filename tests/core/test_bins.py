"""Bins of pixels: aligned with the CCD, whatever the window."""

import numpy as np

from tessphot_lib.core.bins import Bins
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh, evaluate_background

WINDOW = Window(101, 230, 502, 601)


def test_sums_and_values_of_bins():
    bins = Bins.over(WINDOW)
    image = np.random.default_rng(1).normal(size=WINDOW.shape)
    sums = bins.sums(image)
    assert sums.shape == bins.shape == (33, 26)
    np.testing.assert_allclose(sums[0, 0], image[:3, :2].sum())
    np.testing.assert_allclose(sums[2, 3], image[7:11, 10:14].sum())
    np.testing.assert_allclose(sums[-1, -1], image[127:, 98:].sum())
    np.testing.assert_array_equal(bins.spread(sums)[8:10, 11:13], sums[2, 3])
    assert bins.spread(sums).shape == WINDOW.shape


def test_bands_have_the_bins_of_the_window():
    bins, band = Bins.over(WINDOW), Window(128, 230, 502, 601)
    image = np.random.default_rng(1).normal(size=WINDOW.shape)
    rows = bins.rows_in(band)
    np.testing.assert_allclose(Bins.over(band).sums(image[27:]), bins.sums(image)[rows])
    assert bins.of_rows(rows).window == band
    np.testing.assert_allclose(bins.of_rows(rows).sums(image[27:]), bins.sums(image)[rows])
    assert bins.of_rows(slice(0, 2)).window == Window(101, 108, 502, 601)


def test_background_in_bins_is_that_of_their_pixels():
    bins, mesh = Bins.over(WINDOW), Mesh.over(WINDOW, 32)
    nodes = np.random.default_rng(1).normal(size=mesh.shape)
    pixels = evaluate_background(nodes, mesh, WINDOW)
    n_pixels = bins.sums(np.ones(WINDOW.shape))
    np.testing.assert_allclose(bins.evaluate(nodes, mesh), bins.sums(pixels) / n_pixels, atol=0.03)
    cells = bins.cells(mesh)
    assert cells.shape == mesh.shape
    assert (np.diff(cells.row_edges) > 0).all()
