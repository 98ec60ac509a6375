"""Keywords of light curves that tell with which settings a star was measured, and why so."""

from collections.abc import Mapping
from typing import Any

from tessphot_lib.core.settings import (
    ApertureSettings,
    AutoSettings,
    HaloSettings,
    LinpsfSettings,
    PsfSettings,
)


def method_cards(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of one method by keyword.

    Parameters
    ----------
    method : str
        By which the star was measured.
    settings : mapping
        Section ``photometry`` of the configuration.
    """
    if method == "aperture":
        aperture = ApertureSettings.from_mapping(settings["aperture"])
        return {
            "AP_KIND": aperture.kind,
            "AP_THRES": float(aperture.threshold),
            "AP_MINPX": aperture.min_pixels,
            "AP_RADIU": float(aperture.max_radius),
            "AP_MOTCO": aperture.motion_correction,
        }
    if method == "halo":
        halo = HaloSettings.from_mapping(settings["halo"])
        return {
            "HALO_RAD": float(halo.radius),
            "HALO_GAP": float(halo.gap),
            "HALO_MIN": halo.min_pixels,
            "HALO_MOT": halo.motion_correction,
        }
    cards = {"PSF_FREE": float(LinpsfSettings.from_mapping(settings["linpsf"]).free_limit)}
    if method == "psf":
        psf = PsfSettings.from_mapping(settings["psf"])
        cards |= {"PSF_PLAC": float(psf.place_limit), "PSF_IMAG": float(psf.image_limit)}
    return cards


def choice_cards(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules that the method of a star was chosen by, if it was; by keyword."""
    rules = AutoSettings.from_mapping(settings["auto"])
    return {
        "AUTO_TMG": float(rules.halo_always),
        "AUTO_LIM": float(rules.halo_limit),
        "AUTO_EDG": float(rules.halo_edge),
        "AUTO_CON": float(rules.linpsf_contamination),
    }
