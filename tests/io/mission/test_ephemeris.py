"""Files that tell where TESS was: kernels and tables, and what is wrong with others."""

import gzip
import struct

import numpy as np
import pytest
import spiceypy
from paths import REALDATA

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.mission.ephemeris import read_ephemeris

needs_realdata = pytest.mark.skipif(
    not REALDATA.is_dir(), reason="real TESS data are not beside the project"
)
AU = 149597870.7
TIMES = np.array([1700.013, 1701.5, 1702.2501])

HEADER = """\
*******************************************************************************
Target body name: {target}                 {{source: TESS_merged}}
Center body name: {center}     {{source: DE441}}
Center-site name: {site}
*******************************************************************************
Output units    : {units}
Reference frame : {frame}
*******************************************************************************
            JDTDB,            Calendar Date (TDB),     X,     Y,     Z,
*******************************************************************************
$$SOE
{rows}
$$EOE
"""


def path_of(times):
    """A path with unequal axes [km], smooth like an orbit."""
    phase = 2 * np.pi * np.asarray(times)[:, np.newaxis] / np.array([13.7, 20.0, 9.0])
    return np.array([3e5, 2e5, -1e5]) * np.sin(phase) + np.array([1e5, 0, 7e4])


def table(
    folder, *, name="tess.txt", step=1 / 24, first=1698.0, last=1705.0, labels=False, **about
):
    """Vectors as Horizons writes them."""
    times = np.arange(first, last + step / 2, step)
    known = {"target": "TESS (spacecraft) (-95)", "center": "Earth (399)", "site": "BODY CENTER"}
    known |= {"units": "KM-S", "frame": "ICRF"} | about
    scale = AU if known["units"].startswith("AU") else 1.0
    rows = []
    for time, (x, y, z) in zip(times, path_of(times) / scale, strict=True):
        date = f"{time + 2457000:.9f}"
        if labels:
            rows.append(f"{date} = A.D. 2019-Aug-04 00:00:00.0000 TDB")
            rows.append(f" X ={x: .15E} Y ={y: .15E} Z ={z: .15E}")
        else:
            rows.append(f"{date}, A.D. 2019-Aug-04 00:00:00.0000, {x: .15E}, {y: .15E}, {z: .15E},")
    path = folder / name
    path.write_text(HEADER.format(rows="\n".join(rows), **known))
    return path


def kernel(folder, center=399, body=-95):
    """A small SPK kernel."""
    times = np.arange(1698.0, 1705.01, 0.02)
    seconds = (times + 2457000 - 2451545) * 86400
    states = np.hstack([path_of(times), np.gradient(path_of(times), seconds, axis=0)])
    path = folder / "tess.bsp"
    handle = spiceypy.spkopn(str(path), "test", 0)
    step = (seconds[-1] - seconds[0]) / (len(seconds) - 1)
    spiceypy.spkw08(
        handle,
        body,
        center,
        "J2000",
        seconds[0],
        seconds[-1],
        "test",
        3,
        len(seconds),
        states,
        seconds[0],
        step,
    )
    spiceypy.spkcls(handle)
    return path


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("units", ["KM-S", "AU-D"])
@pytest.mark.parametrize(
    ("center", "name"),
    [("Earth (399)", "earth"), ("Solar System Barycenter (0)", "barycenter")],
)
def test_table(tmp_path, labels, units, center, name):
    found = read_ephemeris(table(tmp_path, labels=labels, units=units, center=center), TIMES)
    np.testing.assert_allclose(found.position, path_of(TIMES), atol=0.1)
    assert found.center == name
    assert 0 < found.error < 0.1


def test_compressed_table_and_one_with_hashes(tmp_path):
    plain = table(tmp_path)
    text = plain.read_text()
    lines = [line if line[:3].isdigit() else f"#{line}" for line in text.splitlines()]
    (tmp_path / "tess.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    expected = read_ephemeris(plain, TIMES).position
    np.testing.assert_array_equal(
        read_ephemeris(tmp_path / "tess.csv.gz", TIMES).position, expected
    )


def test_ecliptic_axes_are_turned(tmp_path):
    """The ecliptic's pole lies at declination 66.56 deg, right ascension 270 deg."""
    path = table(tmp_path, frame="Ecliptic of J2000.0")
    found = read_ephemeris(path, TIMES).position
    tilt = np.radians(84381.448 / 3600)
    pole = np.array([0.0, -np.sin(tilt), np.cos(tilt)])
    np.testing.assert_allclose(found @ pole, path_of(TIMES)[:, 2], atol=0.1)
    np.testing.assert_allclose(found[:, 0], path_of(TIMES)[:, 0], atol=0.1)


def test_error_of_interpolation_is_about_right(tmp_path):
    times = np.arange(1699.0, 1704.0, 0.017)
    found = read_ephemeris(table(tmp_path, step=0.25), times)
    true = np.linalg.norm(found.position - path_of(times), axis=1).max()
    assert 0.3 * true < found.error < 5 * true
    assert true > 0.1


@pytest.mark.parametrize(("center", "name"), [(399, "earth"), (0, "barycenter"), (3, None)])
def test_kernel(tmp_path, center, name):
    found = read_ephemeris(kernel(tmp_path, center), TIMES)
    np.testing.assert_allclose(found.position, path_of(TIMES), atol=0.1)
    assert found.center == (name or "earth-moon-barycenter")
    assert spiceypy.ktotal("ALL") == 0


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"target": "JWST (-170)"}, r"tess\.txt: it is of JWST \(-170\).*, not of TESS \(-95\)"),
        ({"center": "Sun (10)"}, r"its center is Sun \(10\).*; the solar system barycenter"),
        ({"site": "Greenwich"}, r"its center is Earth"),
        ({"units": "PC-Y"}, r"Output units PC-Y: AU or KM is needed"),
        ({"frame": "Galactic"}, r"Reference frame Galactic: not ICRF"),
        ({"last": 1702.0}, r"it has TESS \(-95\) for BTJD 1698.00 to 1702.00; the images need"),
        ({"step": 1.0}, r"its steps are up to 1.000 d long; at most 0.25 d"),
    ],
)
def test_table_that_cannot_be_used(tmp_path, about, message):
    with pytest.raises(InputDataError, match=message):
        read_ephemeris(table(tmp_path, **about), TIMES)


def test_kernel_that_cannot_be_used(tmp_path):
    path = kernel(tmp_path)
    with pytest.raises(InputDataError, match=r"tess\.bsp: it has TESS .* the images need 1700.01"):
        read_ephemeris(path, np.append(TIMES, 1800.0))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(InputDataError, match=r"tess\.bsp: cannot be read"):
        read_ephemeris(path, TIMES)
    assert spiceypy.ktotal("ALL") == 0


def test_kernel_that_makes_spice_end_its_process(tmp_path):
    """The degree of the polynomials and the number of states, at the end of the segment."""
    path = kernel(tmp_path)
    content = bytearray(path.read_bytes())
    end = content.index(struct.pack("<d", 351.0)) - 8  # the degree, minus one, stands before
    content[end : end + 8] = struct.pack("<d", -3e9)
    path.write_bytes(content)
    with pytest.raises(InputDataError, match=r"tess\.bsp: cannot be read: .*SPICE"):
        read_ephemeris(path, TIMES)


@pytest.mark.parametrize("value", [np.nan, np.inf, 2e6])
def test_places_where_tess_cannot_be_are_refused(tmp_path, value):
    path = kernel(tmp_path)
    content = path.read_bytes()
    for x in path_of(np.arange(1698.0, 1705.01, 0.02))[:, 0]:
        content = content.replace(struct.pack("<d", x), struct.pack("<d", value))
    path.write_bytes(content)
    with pytest.raises(InputDataError, match=r"tess\.bsp: (TESS is .* km from earth|cannot be)"):
        read_ephemeris(path, TIMES)


def test_kernel_of_another_spacecraft(tmp_path):
    with pytest.raises(InputDataError, match="for BTJD no time at all"):
        read_ephemeris(kernel(tmp_path, body=-170), TIMES)


def test_other_files(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing of use")
    with pytest.raises(InputDataError, match=r"notes\.txt: no 'Target body name:' in its header"):
        read_ephemeris(tmp_path / "notes.txt", TIMES)
    with pytest.raises(InputDataError, match=r"none\.bsp: cannot be read: No such file"):
        read_ephemeris(tmp_path / "none.bsp", TIMES)


@needs_realdata
@pytest.mark.realdata
def test_kernel_and_table_of_jpl_agree():
    times = np.linspace(1410.0, 1437.0, 50)
    folder = REALDATA / "ephemeris"
    kernel_says = read_ephemeris(folder / "earth_sun_moon_tess.bsp", times)
    table_says = read_ephemeris(folder / "20180720_tess_ephem.csv.gz", times)
    assert kernel_says.center == table_says.center == "barycenter"
    np.testing.assert_allclose(kernel_says.position, table_says.position, rtol=0, atol=300)
