"""Each star is measured by its own method, whatever the order of the list."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.lightcurve import StarFluxes, StarNotes
from tessphot_lib.core.provenance import code_behind
from tessphot_lib.core.settings import METHODS as SETTINGS
from tessphot_lib.core.settings import MethodSettings
from tessphot_lib.core.star_warnings import (
    LIMITED_APERTURE,
    MINIMUM_APERTURE,
    SWITCHED_TO_HALO,
    UNLISTED_LIGHT,
)
from tessphot_lib.photometry import methods
from tessphot_lib.photometry.choice import as_listed, warnings_of
from tessphot_lib.photometry.method import Method
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.prf.generic import generic_prf

N_CADENCES = 4
CUBE = SimpleNamespace(ccd_id=CcdId(14, 1, 1), n_cadences=N_CADENCES)


def targets(*by_method):
    """Stars 10, 11, … with these methods."""
    n_stars = len(by_method)
    stars = pd.DataFrame({"tic_id": 10 + np.arange(n_stars), "method": by_method})
    aperture = replace(Aperture.whole(Window(0, 3, 0, 2)), is_automatic=True)
    return StarList(stars, [aperture] * n_stars, pd.DataFrame(), generic_prf())


def method(factor):
    """A method whose flux is the star's number times a factor."""

    def measure(cube, stars, tile, settings):
        fluxes = StarFluxes.unknown(len(stars), cube.n_cadences)
        fluxes.flux[:] = factor * stars.stars["tic_id"].to_numpy()[:, None]
        notes = tuple(
            StarNotes(header={"KEY": settings, "N": len(stars)}) for _ in range(len(stars))
        )
        return StarFluxes(**{n: getattr(fluxes, n) for n in StarFluxes.array_names()}, notes=notes)

    return Method("some", MethodSettings, measure, dict)


def test_the_registry_holds_the_methods_of_the_settings():
    """The names stand in core, which cannot import the functions; no module is left out."""
    assert set(methods.METHODS) == set(SETTINGS)
    assert all(method.name == name for name, method in methods.METHODS.items())
    assert {name: method.settings for name, method in methods.METHODS.items()} == SETTINGS
    folder = Path(methods.__file__).parent
    assert {
        path.stem for path in folder.glob("*.py") if "\nMETHOD = Method(" in path.read_text()
    } == set(SETTINGS)


def test_the_code_of_all_methods_counts_for_the_steps_that_measure():
    for step in ("photometry", "lightcurve", "targets"):
        behind = code_behind(f"tessphot_lib.steps.{step}")
        assert {f"tessphot_lib.photometry.{name}:METHOD" for name in SETTINGS} <= behind


def test_stars_go_to_their_methods_and_come_back_in_order(monkeypatch):
    monkeypatch.setattr(methods, "METHODS", {"one": method(1.0), "two": method(100.0)})
    stars = targets("two", "one", "two", "one", "one")
    fluxes = methods.measure_by_method(CUBE, stars, None, 7)
    assert fluxes.flux[:, 0].tolist() == [1000.0, 11.0, 1200.0, 13.0, 14.0]
    assert [note.header["N"] for note in fluxes.notes] == [2, 3, 2, 3, 3]
    assert {note.header["KEY"] for note in fluxes.notes} == {7}
    assert np.isnan(fluxes.background).all()
    assert fluxes.pixel_flags.dtype == np.uint8


@pytest.mark.parametrize("n_stars", [0, 3])
def test_no_stars_and_stars_of_one_method(monkeypatch, n_stars):
    monkeypatch.setattr(methods, "METHODS", {"one": method(1.0)})
    fluxes = methods.measure_by_method(CUBE, targets(*["one"] * n_stars), None, 7)
    assert fluxes.flux.shape == (n_stars, N_CADENCES)
    assert fluxes.flux[:, 2].tolist() == [10.0, 11.0, 12.0][:n_stars]


def test_an_unknown_method_is_named_with_its_star():
    with pytest.raises(
        InputDataError, match="TIC 11: unknown method 'guess'; the methods are apert"
    ):
        methods.measure_by_method(CUBE, targets("aperture", "guess"), None, {})


def test_fluxes_of_unequal_shapes_are_refused():
    arrays = {name: np.zeros((2, 3)) for name in StarFluxes.array_names()}
    with pytest.raises(ValueError, match=r"background is \(3, 2\), flux \(2, 3\)"):
        StarFluxes(**(arrays | {"background": np.zeros((3, 2))}))
    with pytest.raises(ValueError, match="1 notes on 2 stars"):
        StarFluxes(**arrays, notes=(StarNotes(),))


def test_light_under_a_star_that_is_not_known_well_is_told_in_percent_of_its_flux():
    aperture = Aperture(Window(4, 6, 7, 10), np.eye(2, 3, dtype=bool))
    told = as_listed(replace(aperture, static_error=0.123), False).findings
    assert "the mean flux may be off by 12 %." in told
    assert as_listed(replace(aperture, static_error=0.02), False).findings is None


def test_stars_as_they_were_measured():
    stars = targets("halo", "halo", "aperture")
    listed = [
        as_listed(replace(one, is_limited=True, unlisted_fraction=0.2), True, "Found.")
        for one in stars.apertures
    ]
    pixels = Aperture(Window(4, 6, 7, 10), np.eye(2, 3, dtype=bool))
    notes = (StarNotes(pixels=pixels), StarNotes(method="aperture", warning="no halo"), StarNotes())
    measured = replace(stars, apertures=listed).as_measured(notes)
    assert measured.stars["method"].tolist() == ["halo", "aperture", "aperture"]
    by_aperture = f"{LIMITED_APERTURE} {UNLISTED_LIGHT} Found."
    assert list(map(warnings_of, measured.apertures, measured.stars["method"])) == [
        f"{SWITCHED_TO_HALO} {UNLISTED_LIGHT} Found.",
        by_aperture,
        by_aperture,
    ]
    assert [one.is_automatic for one in measured.apertures] == [True, True, True]
    assert measured.apertures[0].window == pixels.window
    np.testing.assert_array_equal(measured.apertures[0].mask, pixels.mask)
    assert [one.mask for one in measured.apertures[1:]] == [one.mask for one in listed[1:]]
    assert stars.stars["method"].tolist() == ["halo", "halo", "aperture"]


def test_what_is_said_of_pixels_is_said_once_of_a_fit_that_became_an_aperture():
    stars = targets("linpsf")
    (aperture,) = stars.apertures
    listed = as_listed(replace(aperture, is_limited=True), True, "Found.")
    note = StarNotes(method="aperture", warning="no fit")
    (measured,) = replace(stars, apertures=[listed]).as_measured([note]).apertures
    assert warnings_of(measured, "aperture") == f"{LIMITED_APERTURE} Found."


def test_a_star_measured_by_another_method_is_not_said_to_be_switched_to_halo():
    stars = targets("halo")
    (aperture,) = stars.apertures
    stars = replace(stars, apertures=[as_listed(replace(aperture, is_minimum=True), True)])
    other = stars.measured_by("aperture")
    assert warnings_of(stars.apertures[0], "halo") == SWITCHED_TO_HALO
    assert warnings_of(other.apertures[0], "aperture") == MINIMUM_APERTURE


def test_stars_measured_by_another_method_than_the_rules_chose():
    stars = targets("aperture", "halo")
    other = stars.measured_by("psf")
    assert other.stars["method"].tolist() == ["psf", "psf"]
    assert [one.is_automatic for one in other.apertures] == [False, False]
    assert stars.stars["method"].tolist() == ["aperture", "halo"]
    assert [one.is_automatic for one in stars.take([1]).apertures] == [True]
