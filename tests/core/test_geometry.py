"""Containers: CCD names, windows, and arrays that belong together."""

import numpy as np
import pytest

from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.exposure import Exposure
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.lightcurve import Stamp


def test_name_of_a_ccd_and_back():
    assert str(CcdId(14, 2, 3)) == "s0014-cam2-ccd3"
    assert CcdId.from_string("s0014-cam2-ccd3") == CcdId(sector=14, camera=2, ccd=3)
    assert sorted([CcdId(14, 1, 2), CcdId(2, 4, 4), CcdId(14, 1, 1)])[0] == CcdId(2, 4, 4)


def test_target_pixel_files_of_a_ccd_have_a_name_of_their_own():
    stamps = CcdId(14, 2, 3, 20)
    assert str(stamps) == "s0014-cam2-ccd3-c0020"
    assert CcdId.from_string(str(stamps)) == stamps
    assert (stamps.of_images, stamps.has_stamps) == (CcdId(14, 2, 3), True)
    assert not stamps.of_images.has_stamps


@pytest.mark.parametrize("which", [(0, 1, 1), (1, 0, 1), (1, 5, 1), (1, 1, 0), (1, 1, 5)])
def test_no_such_ccd(which):
    with pytest.raises(ConfigError, match="no such CCD: sector {}, camera {}".format(*which)):
        CcdId(*which)


@pytest.mark.parametrize("text", ["s14-cam1-ccd1", "s0014-cam5-ccd1", "s0014-cam1-ccd1x", ""])
def test_not_the_name_of_a_ccd(text):
    with pytest.raises(ConfigError, match="not the name of a CCD"):
        CcdId.from_string(text)


def test_window_cuts_its_pixels_out_of_another():
    outer, inner = Window(100, 110, 200, 230), Window(103, 107, 205, 215)
    row, column = np.mgrid[100:110, 200:230]
    cut = inner.slices_in(outer)
    assert inner.shape == row[cut].shape == (4, 10)
    assert (row[cut][0, 0], row[cut][-1, -1]) == (103, 106)
    assert (column[cut][0, 0], column[cut][-1, -1]) == (205, 214)
    assert Window(*inner.as_list()) == inner


def test_pixel_is_half_a_pixel_wide_on_each_side():
    window = Window(10, 12, 20, 25)
    row = np.array([9.49, 9.5, 11.49, 11.5, 11.0, 11.0, 11.0, 11.0, np.nan, 11.0])
    column = np.array([21.0, 21.0, 21.0, 21.0, 19.49, 19.5, 24.49, 24.5, 21.0, np.nan])
    expected = [False, True, True, False, False, True, True, False, False, False]
    assert window.contains(row, column).tolist() == expected


def test_positions_beside_a_window_count_beyond_the_edge_of_the_ccd():
    window = Window(0, 12, 2020, 2048)
    row = np.array([-5.5, -5.51, 16.49, 16.5, 5.0, 5.0, 5.0, 5.0, np.nan])
    column = np.array([2030.0, 2030.0, 2030.0, 2030.0, 2014.5, 2014.49, 2052.49, 2052.5, 2030.0])
    expected = [True, False, True, False, True, False, True, False, False]
    assert window.contains(row, column, margin=5).tolist() == expected


def test_intersection_of_windows():
    window = Window(10, 20, 100, 200)
    assert window.intersect(Window(15, 40, 50, 101)) == Window(15, 20, 100, 101)
    assert Window(15, 40, 50, 101).intersect(window) == Window(15, 20, 100, 101)
    assert window.intersect(Window(20, 30, 100, 200)) is None
    assert window.intersect(Window(10, 20, 200, 300)) is None


def test_margin_around_a_window():
    window = Window(10, 13, 2040, 2045)
    assert window.widened(7) == Window(3, 20, 2033, 2048)
    assert window.widened(20) == Window(0, 33, 2020, 2048)
    assert window.widened(2, Window(9, 100, 2039, 2046)) == Window(9, 15, 2039, 2046)


def test_window_around_a_pixel():
    limits = Window(10, 30, 100, 200)
    assert Window.around(20, 150, 2, limits) == Window(18, 23, 148, 153)
    assert Window.around(11, 198, (2, 5), limits) == Window(10, 14, 193, 200)
    assert Window.around(5, 150, 5, limits) == Window(10, 11, 145, 156)
    assert Window.around(4, 150, 5, limits) is None
    assert Window.around(20, 205, 5, limits) is None
    assert Window.around(2047, 0, 1) == Window(2046, 2048, 0, 2)


def test_window_around_windows():
    windows = [Window(12, 15, 40, 42), Window(10, 13, 50, 60)]
    assert Window.enclosing(windows) == Window(10, 15, 40, 60)
    assert Window.enclosing(windows[:1]) == windows[0]


def test_middle_of_a_window():
    assert Window(10, 13, 2040, 2044).middle == (11.0, 2041.5)


def test_window_of_the_configuration():
    assert Window.from_config(None) == Window(0, 2048, 0, 2048)
    assert Window.from_config([1, 2, 3, 5]).shape == (1, 2)


@pytest.mark.parametrize(
    "edges",
    [(0, 0, 0, 5), (5, 4, 0, 5), (-1, 4, 0, 5), (0, 2049, 0, 5), (0, 5, 7, 7), (0, 5, 0, 2049)],
)
def test_window_must_lie_on_the_ccd(edges):
    with pytest.raises(ConfigError, match="is empty or leaves the CCD"):
        Window(*edges)


def test_arrays_must_fit_their_window():
    window = Window(10, 13, 20, 25)
    arrays = {"flux": np.zeros((3, 5)), "flux_err": np.zeros((3, 5))}
    rest = {"time_start": 1.0, "time_stop": 2.5, "timecorr": 0.0, "cadenceno": 1, "quality": 0}
    rest |= {"exposure_time": 1.0, "ccd_id": CcdId(1, 1, 1), "window": window}
    assert Exposure(**arrays, **rest).time == 1.75
    with pytest.raises(InputDataError, match=r"flux_err is \(5, 3\), the window \(3, 5\)"):
        Exposure(**arrays | {"flux_err": np.zeros((5, 3))}, **rest)
    with pytest.raises(InputDataError, match=r"aperture is \(5, 3\), the stamp \(3, 5\)"):
        Stamp(window, np.zeros((3, 5)), np.zeros((5, 3)))


def test_window_around_the_pixels_of_a_mask():
    window, mask = Window(10, 15, 40, 47), np.zeros((5, 7), dtype=bool)
    assert window.bounding(mask) == Window(10, 11, 40, 41)
    mask[1, 2], mask[3, 6] = True, True
    assert window.bounding(mask) == Window(11, 14, 42, 47)
