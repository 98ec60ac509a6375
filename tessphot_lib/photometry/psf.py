"""Method ``psf``: PRF fits as by ``linpsf``, of the positions of stars, too."""

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import Cards, StarFluxes
from tessphot_lib.core.settings import PhotometrySettings, PsfSettings, free_limit_of
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.linpsf import linpsf_cards, measure_fits
from tessphot_lib.photometry.method import Method
from tessphot_lib.photometry.targets import StarList


def measure_psf(
    cube: PixelCube, targets: StarList, tile: Window | None, settings: PhotometrySettings
) -> StarFluxes:
    """Fit fluxes and positions of stars; see `tessphot_lib.photometry.method`."""
    return measure_fits(cube, targets, tile, free_limit_of(settings.linpsf), settings.psf)


def _cards(settings: PhotometrySettings) -> Cards:
    """Header cards of the settings: those of ``linpsf``, and its own."""
    psf = settings.psf
    return {
        **linpsf_cards(settings),
        "PSF_PLAC": (float(psf.position_limit), "[mag] positions fitted to average image"),
        "PSF_IMAG": (float(psf.image_limit), "[mag] positions fitted to each image"),
    }


METHOD = Method("psf", PsfSettings, measure_psf, _cards)
