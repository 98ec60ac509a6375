"""What the report shows of a run, as numbers: hand-solved cases and injected signals."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bokeh.models import Legend

from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.prf.evaluate import prf_stamps
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.report.cropped import cropped
from tessphot_lib.report.site.ccd import ccd_numbers, flags_of_images
from tessphot_lib.report.site.figures import (
    _medians,
    aperture_figure,
    contamination_figure,
    image_figure,
    noise_figure,
    series_figure,
    shades,
    star_sources,
)
from tessphot_lib.report.site.floor import expected_noise
from tessphot_lib.report.site.run import costs_by_rule
from tessphot_lib.report.site.star import _series
from tessphot_lib.report.site.stars import stars_with_pages, table_html, with_links
from tessphot_lib.report.spectrum import amplitude_spectrum

QUIET = {"sky": 100.0, "read_noise": 10.0, "exposure_time": 1425.6, "cadence_seconds": 1800.0}


def test_legends_are_above_the_points_not_on_them():
    stars = {"tmag": [9.0, 11.5], "cdpp_1h": [90.0, 410.0], "mask_size": [12, 7]}
    table = pd.DataFrame(stars).assign(
        tic_id=[7, 8], method_used=["aperture", "linpsf"], warning="", url="7.html", row=5.0
    )
    sources = star_sources(table.assign(column=6.0, contamination=0.1))
    motion = {"row": np.array([0.1, 0.2]), "column": np.array([0.3, np.nan])}
    for plot in (
        noise_figure(sources, None),
        aperture_figure(sources),
        contamination_figure(sources),
        series_figure("Motion", "pixels", np.array([1683.0, 1684.0]), motion),
    ):
        assert [one for one in plot.center if isinstance(one, Legend)] == []
        (legend,) = (one for one in plot.above if isinstance(one, Legend))
        assert len(legend.items) >= 2


def test_flagged_points_have_a_legend_only_where_there_are_any():
    curve = SimpleNamespace(
        time=np.arange(1683.0, 1688.0),
        cadenceno=np.arange(5),
        quality=np.array([0, 0, 1, 0, 0]),
        pixel_quality=np.array([0, 0, 32, 0, 0]),
        flux_corr=np.array([1.0, 2.0, np.nan, 2.0, 1.0]),
        **dict.fromkeys(("flux", "background", "centroid_row", "centroid_column"), np.arange(5.0)),
    )
    plots = _series(curve).children
    labels = [[item.label.value for item in plot.legend[0].items] for plot in plots[:2]]
    assert labels == [["corrected flux"], ["flux, flagged", "flux"]]


def test_images_of_another_pointing_are_used_but_not_averaged():
    cube = SimpleNamespace(
        quality=np.array([0, 0, 0, int(CadenceFlag.COARSE_POINT)]),
        attributes={"bad_quality": 4, "cadence_seconds": 1800, "time_error": 0.001},
        background_level=np.array([9.0, 11.0, 10.0, np.nan]),
        n_cadences=4,
        is_averaged=lambda: np.array([True, True, False, False]),
    )
    stars = pd.DataFrame({"lightcurve": ["a.fits.gz", None]})
    numbers = dict(ccd_numbers(cube, generic_prf(), stars))
    assert numbers["images used"] == "3 of 4"
    assert numbers["of these in the average image"] == "2"
    assert numbers["background of the images used"] == "10.0 e-/s per pixel"


def test_expected_noise_of_a_bright_star_is_that_of_its_photons():
    prf = generic_prf()
    noise = expected_noise(np.array([1.0]), prf, (300, 1500), **QUIET)
    electrons = 10 ** (-0.4 * (1.0 - prf.zeropoint)) * 2 * 1425.6  # in the two images of an hour
    assert noise[0] == pytest.approx(1e6 / np.sqrt(electrons), rel=0.02)  # light beyond the stamp


def test_expected_noise_of_a_faint_star_is_that_of_a_fit_in_constant_noise():
    """There the error of the flux is that of a pixel over the root of the sum of squares."""
    prf = generic_prf()
    given = QUIET | {"sky": 0.0, "read_noise": 1000.0}
    noise = expected_noise(np.array([14.0]), prf, (300, 1500), **given)
    pixel = np.sqrt(1000.0**2 / (2 * 1425.6)) / np.sqrt(2)  # [e-/s] in an hour
    phase = np.array([-0.375, -0.125, 0.125, 0.375])
    roots = []
    for down in phase:
        for along in phase:
            at = np.array([300 + down]), np.array([1500 + along])
            light = prf_stamps(prf, *at, np.array([290]), np.array([1490]), (21, 21))
            roots.append(1 / np.sqrt((light**2).sum()))
    flux = 10 ** (-0.4 * (14.0 - prf.zeropoint))
    assert noise[0] == pytest.approx(1e6 * pixel / flux * np.mean(roots), rel=0.01)


@pytest.mark.parametrize("changed", ["sky", "read_noise"])
def test_expected_noise_grows_with_what_makes_noise(changed):
    prf, tmag = generic_prf(), np.array([6.0, 13.0])
    quiet = expected_noise(tmag, prf, (9, 9), **QUIET)
    loud = expected_noise(tmag, prf, (9, 9), **(QUIET | {changed: 4 * QUIET[changed]}))
    assert (loud > quiet).all()
    assert loud[1] / quiet[1] > loud[0] / quiet[0]


def test_amplitude_spectrum_finds_an_injected_oscillation():
    random = np.random.default_rng(3)
    time = 1683 + np.delete(np.arange(1000) / 48, slice(400, 470))
    values = 250 * np.sin(2 * np.pi * 3.37 * time + 1) + random.normal(0, 100, time.shape)
    values[5] = np.nan
    good = np.ones(len(time), bool)
    good[600:610], values[600:610] = False, 1e6
    frequency, amplitude = amplitude_spectrum(time, values, good)
    highest = amplitude.argmax()
    assert frequency[highest] == pytest.approx(3.37, abs=0.5 / np.ptp(time))
    assert amplitude[highest] == pytest.approx(250, rel=0.1)
    assert frequency[-1] == pytest.approx(24, rel=0.01)


def test_amplitude_spectrum_of_too_few_points_is_empty():
    time = np.arange(30.0)
    frequency, amplitude = amplitude_spectrum(time, time, time < 9)
    assert frequency.size == amplitude.size == 0


def test_shades_grow_with_the_flux_and_leave_missing_pixels_white():
    image = np.array([[0.0, 1.0, 10.0], [100.0, 1000.0, np.nan]])
    shown = shades(image)
    assert shown[1, 2] == 0
    known = shown[np.isfinite(image)]
    assert (np.diff(known.astype(int)) > 0).all()
    assert known[0] == 1
    assert not shades(np.full((2, 3), np.nan)).any()


def test_borders_without_pixels_are_left_out():
    image = np.full((6, 8), np.nan)
    image[2:4, 3:7] = 1.0
    inner, window = cropped(image, Window(100, 106, 50, 58))
    assert inner.shape == (2, 4)
    assert window == Window(102, 104, 53, 57)
    empty, whole = np.full((6, 8), np.nan), Window(100, 106, 50, 58)
    assert cropped(empty, whole) == (empty, whole)


def test_flags_of_images_names_only_those_that_are_set():
    dump, coarse = int(CadenceFlag.MOMENTUM_DUMP), int(CadenceFlag.COARSE_POINT)
    found = flags_of_images(np.array([0, dump, dump | coarse]))
    assert {name: list(is_set) for name, is_set in found.items()} == {
        "spacecraft in coarse point": [False, False, True],
        "reaction wheel desaturation": [False, True, True],
    }


def test_costs_are_summed_by_rule(tmp_path):
    costs = {"b/photometry_r0c1": 3, "b/photometry_r12c1": 4, "b/backgrounds_b0002522": 5}
    costs |= {"spacecraft_sector14": 1, "a/ccd_report": 2, "a/lightcurve_25155310": 0.5}
    for name, seconds in costs.items():
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"s\tmax_rss\tcpu_time\n{2 * seconds}\t{100 * seconds}\t{seconds}\n")
    (tmp_path / "a" / "check.tsv").write_text("s\tmax_rss\tcpu_time\n0.1\t-\t0.0\n")
    assert costs_by_rule(tmp_path) == [
        ("photometry", 2, "7.0", "8.0", "400"),
        ("backgrounds", 1, "5.0", "10.0", "500"),
        ("ccd_report", 1, "2.0", "4.0", "200"),
        ("spacecraft", 1, "1.0", "2.0", "100"),
        ("lightcurve", 1, "0.5", "1.0", "50"),
        ("check", 1, "0.0", "0.1", ""),
    ]
    assert costs_by_rule(tmp_path / "absent") == []


@pytest.fixture
def stars():
    return pd.DataFrame(
        {
            "priority": [1, 2, 3, 4, 5],
            "tic_id": [10, 20, 30, 40, 50],
            "cadence_seconds": 1800,
            "tmag": [7.0, 9.0, 11.0, 15.0, 8.0],
            "row": 5.0,
            "column": 6.0,
            "method_used": "aperture",
            "status_word": "measured",
            "mean_flux": 100.0,
            "cdpp_1h": 50.0,
            "mask_size": 9,
            "contamination": 0.1,
            "variability": [1.0, 5.0, 3.0, 99.0, 200.0],
            "warning": ["", "", "<b>a & b</b>", "faint", "gone"],
            "lightcurve": ["a", "b", "c", "d", None],
        }
    )


def test_asked_variable_and_warned_stars_have_pages(stars):
    """TIC 40 is too faint to count as variable, TIC 50 has no light curve."""
    assert stars_with_pages(stars, 1, asked=[10, 50]) == {
        1: "asked for",
        2: "variable",
        3: "warning",
    }
    assert stars_with_pages(stars, 0) == {}


def test_links_go_to_pages_or_else_to_the_row_of_the_table(stars):
    urls = dict(zip(stars["tic_id"], with_links(stars, {2}, "x/")["url"], strict=True))
    assert urls[10] == "x/stars.html#10"
    assert urls[20] == "x/stars/tic20-c1800.html"


def test_texts_of_the_table_are_no_markup(stars):
    html = table_html(stars, {2})
    assert "<b>" not in html
    assert "&lt;b&gt;a &amp; b" in html
    assert "stars/tic20-c1800.html" in html
    assert "stars/tic30-c1800.html" not in html


def test_a_median_is_of_several_stars():
    """A planet or a variable star alone at its magnitude is no typical noise."""
    tmag = pd.Series([8.6, 10.9, 11.0, 11.1, 11.2, 13.0, 13.1])
    found = _medians(tmag, pd.Series([2e4, 100.0, 300.0, 200.0, 250.0, 7.0, 8.0]))
    assert found.to_dict() == {11.0: 225.0}
    assert _medians(tmag[:0], tmag[:0]).empty


@pytest.mark.parametrize(
    ("shape", "height"), [((60, 120), 500), ((96, 96), 900), ((400, 20), 1700)]
)
def test_the_average_image_has_the_form_of_its_pixels(shape, height):
    window = Window(100, 100 + shape[0], 300, 300 + shape[1])
    assert image_figure(np.ones(shape), window, {}).height == height
