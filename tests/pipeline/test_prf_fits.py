"""PRF fits on the small simulated CCD: the same from any tile, and true fluxes."""

import numpy as np
import pytest
from astropy.io import fits
from pipeline_run import measure_anew

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import OutputSettings
from tessphot_lib.simulation.truth_file import read_scene
from tessphot_lib.steps.lightcurve import run_light_curve

CCD = CcdId(14, 3, 4)
OUTPUT = OutputSettings()


@pytest.fixture(scope="module", params=["linpsf", "psf"])
def measured(request, small_run, tmp_path_factory):
    """Folder with the light curves of all tiles, all stars measured by one method."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, *measure_anew(small_run, folder, request.param)


def test_all_stars_are_measured_with_their_own_light(measured, small_run):
    method, _, _, _, table = measured
    scene = read_scene(small_run.ccd / "truth.hdf5")
    ratios = []
    for star in table.itertuples():
        assert star.method_used == method, star.errors
        ratios.append(star.mean_flux / scene.stars.flux[scene.star_index(star.tic_id)])
    assert len(ratios) > 20
    assert table[["crowdsap", "flfrcsap"]].isna().all(axis=None)  # of apertures they don't have
    assert table["contamination"].between(0, 1).all()
    assert np.median(ratios) == pytest.approx(1, abs=0.02)


def test_one_star_is_the_same_as_in_its_tile(measured):
    method, folder, files, settings, table = measured
    star = next(one for one in table[::-1].itertuples() if one.status == 1)
    path = folder / "star.fits.gz"
    run_light_curve(
        files, CCD, output=path, tic_id=star.tic_id, settings=settings, output_settings=OUTPUT
    )
    with fits.open(path) as alone, fits.open(folder / star.lightcurve) as in_tile:
        assert alone[0].header["PHOTMET"] == method
        assert alone[0].header["PSF_FREE"] == 16.0
        assert alone[0].header.get("PSF_IMAG") == (9.0 if method == "psf" else None)
        for name in ("FLUX_RAW", "FLUX_RAW_ERR", "MOM_CENTR1", "QUALITY"):
            np.testing.assert_allclose(
                alone[1].data[name], in_tile[1].data[name], rtol=1e-6, err_msg=name
            )
        # Neighbors are fitted, not summed: SPOC's formula leaves the flux as it is.
        assert (alone[0].header["CROWDSAP"], alone[0].header["FLFRCSAP"]) == (1, 1)
        assert 0 < alone[0].header["PSF_CROW"] < 1
        assert 0.8 < alone[0].header["PSF_FRAC"] < 1.05
        # The stars' light was found where they are.
        assert alone[0].header["PSF_MEAN"] == pytest.approx(star.mean_flux, rel=0.05)
