"""From the footprint of a CCD to its catalog, with the archives on this machine.

Every star on the window is in, every star within the buffer around it, and no
other: also at the poles, at RA = 0, and for stars that moved in.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs.utils import fit_wcs_from_points
from astroquery.mast.discovery_portal import PortalAPI
from astroquery.vizier import VizierClass
from fake_archives import Archive, serve, some_stars
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from paths import REALDATA
from scipy.spatial import cKDTree

from tessphot_lib.catalog.footprint import Footprint
from tessphot_lib.catalog.proper_motion import at_epoch
from tessphot_lib.core.errors import InputDataError, ServiceError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import CatalogSettings
from tessphot_lib.core.sphere import separation, unit_vector
from tessphot_lib.core.wcs import ffi_wcs
from tessphot_lib.io.archives import tic_service
from tessphot_lib.io.archives.tic_service import Patience
from tessphot_lib.io.images.cutout_table import write_cutout_table
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.io.stars.tic import read_tic, read_tic_region
from tessphot_lib.simulation.pointing import SIP_SCALE, SIP_TERMS, TanSip, reference_wcs
from tessphot_lib.steps.catalog import run_catalog
from tessphot_lib.steps.ffi_table import run_ffi_table
from tessphot_lib.steps.tic import cache_folder, run_tic

CCD = CcdId(14, 2, 3)
WHOLE = Window()
PART = Window(100, 250, 1700, 2040)
SOON = Patience(tries=2, timeouts=1, first_wait=0.001, longest_wait=0.01, timeout=5.0, interval=0)
BUFFER, FAINT_LIMIT = 0.2, 16.0
UNSURE = 2e-5  # [deg] stars so close to the limit may be in or out
# For a WCS at the very pole the standard turns the axes by 180 deg (LONPOLE).
POLE = 89.9999999
PLACES = [(0.0, POLE), (123.0, -90.0), (40.0, 86.0), (0.0, 0.0), (359.9, 61.0), (181.0, -88.5)]


def optics(ra, dec):
    """WCS of a CCD with its distortion, looking anywhere."""
    return dataclasses.replace(reference_wcs(CCD), crval=np.array([ra, dec]))


def header_of(wcs: TanSip):
    header = fits.Header({"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"})
    for axis in (0, 1):
        header[f"CRVAL{axis + 1}"], header[f"CRPIX{axis + 1}"] = wcs.crval[axis], wcs.crpix[axis]
        for other in (0, 1):
            header[f"CD{axis + 1}_{other + 1}"] = wcs.cd[axis, other]
    for name, values in (("A", wcs.a), ("B", wcs.b)):
        header[f"{name}_ORDER"] = 4
        for (p, q), value in zip(SIP_TERMS, values, strict=True):
            header[f"{name}_{p}_{q}"] = value / SIP_SCALE ** (p + q)
    return header


def write_image(folder, wcs):
    """One image with this WCS, and the table of it."""
    keywords = {"CAMERA": 2, "CCD": 3, "TSTART": 1683.35, "TSTOP": 1683.3708, "BARYCORR": 0.004}
    keywords |= {"EXPOSURE": 0.0165, "DQUALITY": 0, "FFIINDEX": 11000}
    flux = fits.ImageHDU(np.zeros((3, 4), dtype=np.float32))
    flux.header.update(keywords)
    flux.header.update(header_of(wcs))
    image = folder / "image_ffic.fits"
    folder.mkdir(parents=True, exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), flux, fits.ImageHDU(flux.data)]).writeto(image, overwrite=True)
    run_ffi_table([image], folder / "ffis.ecsv", CCD, on_bad_image="error")
    image.unlink()  # as with input.keep_ffis: false, once the table is there
    return folder / "ffis.ecsv"


def around(ra, dec, radius, count, rng):
    """Positions anywhere in a circle."""
    cosine = rng.uniform(np.cos(np.radians(radius)), 1.0, count)
    angle = rng.uniform(0, 2 * np.pi, count)
    sine = np.sqrt(1 - cosine**2)
    local = np.stack([sine * np.cos(angle), sine * np.sin(angle), cosine])
    a, b = np.radians([ra, dec])
    north = np.array([-np.sin(b) * np.cos(a), -np.sin(b) * np.sin(a), np.cos(b)])
    east = np.array([-np.sin(a), np.cos(a), 0.0])
    centre = np.array([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)])
    x, y, z = np.stack([east, north, centre], axis=1) @ local
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(np.clip(z, -1, 1)))


def sky_around(wcs, window, seed, count=12_000):
    """Stars on and far around a window, many at its border, some that move fast."""
    rng = np.random.default_rng(seed)
    rows = np.array([window.row0, window.row1]) - 0.5
    columns = np.array([window.column0, window.column1]) - 0.5
    centre = [
        float(value[0])
        for value in wcs.to_sky(rows.mean(keepdims=True), columns.mean(keepdims=True))
    ]
    ra, dec = around(*centre, 14.0 if window == WHOLE else 4.0, count, rng)
    # Along the border, to 0.4 deg on both sides.
    side, along = rng.integers(0, 4, count // 2), rng.uniform(0, 1, count // 2)
    off = rng.uniform(-70, 70, count // 2)
    row = np.where(side < 2, rows[side % 2] + off, rows[0] + along * np.diff(rows))
    column = np.where(side < 2, columns[0] + along * np.diff(columns), columns[side % 2] + off)
    border_ra, border_dec = wcs.to_sky(row, column)
    special = np.array([(0.0, 90.0), (0.0, -90.0), (0.0, 0.0), (359.9999999, 0.0)])
    ra = np.concatenate([ra, border_ra, special[:, 0]])
    dec = np.concatenate([dec, border_dec, special[:, 1]])
    stars = some_stars(ra, dec, seed)
    fast = rng.random(len(stars)) < 0.05
    stars.loc[fast, ["pmRA", "pmDEC"]] = rng.uniform(-9000, 9000, (fast.sum(), 2))
    return stars


def truth(stars, wcs, window, buffer, epoch):
    """TIC numbers that have to be in, and those that may be, found the slow way."""
    good = stars[(stars["disposition"] != "DUPLICATE") & (stars["Tmag"] <= FAINT_LIMIT)]
    ours = {"ra": "ra_j2000", "dec": "dec_j2000", "pmRA": "pm_ra", "pmDEC": "pm_dec"}
    ra, dec = at_epoch(good.rename(columns=ours), epoch)
    corner = np.array([window.row0, window.row1]), np.array([window.column0, window.column1])
    middle = wcs.to_sky(*(np.atleast_1d(axis.mean()) for axis in corner))
    reach = separation(*middle, *wcs.to_sky(*corner)).max() + buffer + 1.0
    front = separation(*middle, ra, dec) < reach
    good, ra, dec = good[front], ra[front], dec[front]
    row, column = wcs.to_pixel(ra, dec)
    inside = (abs(row - (window.row0 + window.row1 - 1) / 2) <= window.shape[0] / 2) & (
        abs(column - (window.column0 + window.column1 - 1) / 2) <= window.shape[1] / 2
    )
    rows = np.linspace(window.row0 - 0.5, window.row1 - 0.5, 20_000)
    columns = np.linspace(window.column0 - 0.5, window.column1 - 0.5, 20_000)
    edges = (
        (rows, np.full(20_000, columns[0])),
        (rows, np.full(20_000, columns[-1])),
        (np.full(20_000, rows[0]), columns),
        (np.full(20_000, rows[-1]), columns),
    )
    border = np.concatenate([unit_vector(*wcs.to_sky(*edge)) for edge in edges])
    chord, _ = cKDTree(border).query(unit_vector(ra, dec))
    distance = np.degrees(2 * np.arcsin(0.5 * chord))
    surely = good["ID"][inside | (distance < buffer - UNSURE)]
    maybe = good["ID"][inside | (distance < buffer + UNSURE)]
    return set(surely), set(maybe)


@pytest.fixture
def archives(monkeypatch):
    """Put stars into archives that astroquery takes for MAST and VizieR."""
    servers = []

    def start(stars):
        context = serve(Archive(stars))
        archive = context.__enter__()
        servers.append(context)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(PortalAPI, "MAST_REQUEST_URL", f"{archive.url}/invoke")
        monkeypatch.setattr(PortalAPI, "COLUMNS_CONFIG_URL", f"{archive.url}/columnsconfig")
        monkeypatch.setattr(
            VizierClass, "_server_to_url", lambda self, return_type: f"{archive.url}/{return_type}"
        )
        return archive

    yield start
    for context in servers:
        context.__exit__(None, None, None)


def fetch(
    folder,
    *,
    source="mast",
    window=WHOLE,
    ffi_table="ffis.ecsv",
    ccd_id=CCD,
    cutouts=None,
    **changed,
):
    values = {"source": source, "buffer": BUFFER, "faint_limit": FAINT_LIMIT}
    values |= {"cache": str(folder / "cache")} | changed
    run_tic(
        folder / ffi_table if ffi_table else None,
        folder / "tic.fits",
        ccd_id,
        settings=CatalogSettings(**values),
        window=window,
        patience=SOON,
        cutouts=cutouts,
    )
    return folder / "tic.fits"


def catalog(folder, *, window=WHOLE, buffer=BUFFER, tic="tic.fits", cutouts=None):
    run_catalog(
        folder / "ffis.ecsv",
        folder / tic,
        folder / "catalog.sqlite",
        CCD,
        settings=CatalogSettings(buffer=buffer, faint_limit=FAINT_LIMIT),
        window=window,
        cutouts=cutouts,
    )
    return read_catalog(folder / "catalog.sqlite")


def check(known, about, stars, wcs, window, buffer=BUFFER):
    surely, maybe = truth(stars, wcs, window, buffer, about["epoch"])
    found = set(known["tic_id"])
    assert len(surely) > 200
    assert surely - found == set()
    assert found - maybe == set()
    assert len(maybe - surely) < 20


@pytest.mark.parametrize(
    ("ra", "dec", "source", "window"),
    [
        *((*place, "mast", WHOLE) for place in PLACES[:4]),
        *((*place, "mast", PART) for place in PLACES[4:]),
        *((*place, "vizier", PART) for place in PLACES),
    ],
)
def test_all_stars_of_a_ccd_and_no_other(archives, tmp_path, ra, dec, source, window):
    wcs = optics(ra, dec)
    stars = sky_around(wcs, window, seed=round(10 * (ra + dec)) % 1000)
    archive = archives(stars)
    write_image(tmp_path, wcs)
    fetch(tmp_path, source=source, window=window)
    known, about = catalog(tmp_path, window=window)
    check(known, about, stars, wcs, window)
    assert len(archive.asked) < (110 if window == WHOLE else 25)

    # Positions, motions and magnitudes came through.
    kept = stars.set_index("ID").loc[known["tic_id"]]
    for ours, theirs in {"ra_j2000": "ra", "pm_ra": "pmRA", "tmag": "Tmag", "teff": "Teff"}.items():
        np.testing.assert_array_equal(known[ours], kept[theirs])
    row, column = wcs.to_pixel(known["ra"].to_numpy(), known["dec"].to_numpy())
    np.testing.assert_allclose(known["row"], row, atol=1e-3)
    np.testing.assert_allclose(known["column"], column, atol=1e-3)


def write_cutouts(folder, wcs, windows):
    """Table of cutouts, each with a linear WCS."""
    rows = []
    for window in windows:
        corners = [window.row0, window.row1 - 1], [window.column0, window.column1 - 1]
        row, column = (axis.ravel() for axis in np.meshgrid(*np.array(corners, dtype=float)))
        sky = SkyCoord(*wcs.to_sky(row, column), unit="deg")
        linear = fit_wcs_from_points((column - window.column0, row - window.row0), sky)
        path = folder / f"tess-s0014-2-3_{window.row0}.fits"
        rows.append({"path": path, "status": "ok", "window": window, "wcs": linear})
    write_cutout_table(folder / "cutouts.ecsv", rows, CCD)
    return folder / "cutouts.ecsv"


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 20.0), (123.0, -90.0)])
def test_only_the_surroundings_of_cutouts_are_fetched(archives, tmp_path, ra, dec):
    wcs = optics(ra, dec)
    windows = [Window(60, 75, 1900, 1915), Window(1200, 1220, 300, 310), Window(64, 80, 1904, 1920)]
    stars = pd.concat(
        [sky_around(wcs, window, seed=k, count=4000) for k, window in enumerate(windows[:2])],
        ignore_index=True,
    )
    stars["ID"] = np.arange(len(stars)) + 10_000_000_000
    archive = archives(stars)
    write_image(tmp_path, wcs)
    cutouts = write_cutouts(tmp_path, wcs, windows)
    fetch(tmp_path, cutouts=cutouts)
    assert len(archive.asked) < 12  # pages; of the whole CCD some 100
    told = read_tic(tmp_path / "tic.fits", FAINT_LIMIT)
    assert len(told) < 0.6 * len(stars)
    # Nothing is refused, and nothing is missing.
    known, about = catalog(tmp_path, cutouts=cutouts)
    found = set(known["tic_id"])
    for window in windows[:2]:
        surely, _ = truth(stars, wcs, window, BUFFER, about["epoch"])
        assert len(surely) > 200
        assert surely - found == set()
    # A cutout elsewhere is not in the list.
    others = write_cutouts(tmp_path, wcs, [*windows, Window(1900, 1915, 1900, 1915)])
    with pytest.raises(InputDataError, match=r"tic\.fits: made for another piece of the sky"):
        catalog(tmp_path, cutouts=others)


@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # finding a simpler case would take minutes
)
@given(
    ra=st.one_of(st.sampled_from([0.0, 359.999]), st.floats(0, 360, exclude_max=True)),
    dec=st.one_of(st.sampled_from([POLE, -90.0, 0.0, 84.0]), st.floats(-90, POLE)),
    corner=st.tuples(st.integers(0, 1600), st.integers(0, 1600)),
    shape=st.tuples(st.integers(60, 448), st.integers(60, 448)),
    buffer=st.sampled_from([0.0, 0.05, 0.4]),
)
def test_all_stars_of_any_window(tmp_path_factory, ra, dec, corner, shape, buffer):
    folder = tmp_path_factory.mktemp("window")
    window = Window(corner[0], corner[0] + shape[0], corner[1], corner[1] + shape[1])
    wcs = optics(ra, dec)
    stars = sky_around(wcs, window, seed=window.row0, count=5000)
    stars.to_csv(folder / "tic.csv", index=False)
    write_image(folder, wcs)
    known, about = catalog(folder, window=window, buffer=buffer, tic="tic.csv")
    surely, maybe = truth(stars, wcs, window, buffer, about["epoch"])
    found = set(known["tic_id"])
    assert len(surely) > 20
    assert surely - found == set()
    assert found - maybe == set()


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_footprint_text_goes_around_the_ccd(tmp_path, ra, dec):
    wcs = optics(ra, dec)
    stars = sky_around(wcs, WHOLE, seed=5)
    stars.to_csv(tmp_path / "tic.csv", index=False)
    write_image(tmp_path, wcs)
    _, about = catalog(tmp_path, tic="tic.csv")
    corners = np.array(about["footprint"])
    assert corners.shape == (4, 2)
    assert ((corners[:, 0] >= 0) & (corners[:, 0] < 360)).all()
    a, b = np.radians(corners.T)
    vectors = np.stack([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)], axis=1)
    normals = np.cross(vectors, np.roll(vectors, -1, axis=0))
    normals /= np.linalg.norm(normals, axis=1)[:, None]

    def above_the_edges(row, column):
        a, b = np.radians(wcs.to_sky(np.array(row, float), np.array(column, float)))
        return normals @ np.stack([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)])

    # All edges are walked in one sense, also around a pole; edges are straight to some pixels.
    middle = above_the_edges([1000], [1000])
    sense = np.sign(middle[0, 0])
    assert (sense * middle > 0.08).all()
    assert (sense * above_the_edges([30, 30, 2017, 2017], [30, 2017, 2017, 30]) > 0).all()
    for row, column in ((-40, 1000), (2087, 1000), (1000, -40), (1000, 2087)):
        assert (sense * above_the_edges([row], [column])).min() < 0


def test_footprint_text_stays_below_360(tmp_path):
    wcs = optics(0.0, 0.0)
    corner = wcs.to_sky(np.array([-0.5]), np.array([-0.5]))
    wcs = dataclasses.replace(wcs, crval=wcs.crval - [corner[0][0] + 1e-10, 0.0])
    sky_around(wcs, WHOLE, seed=5).to_csv(tmp_path / "tic.csv", index=False)
    write_image(tmp_path, wcs)
    _, about = catalog(tmp_path, tic="tic.csv")
    assert max(ra for ra, _ in about["footprint"]) < 359.0


def test_star_that_moved_in_is_fetched(archives, tmp_path):
    wcs = optics(10.0, -89.9)
    stars = sky_around(wcs, PART, seed=2)
    border = wcs.to_sky(np.array([PART.row0 - 6.5]), np.array([1900.0]))
    inside = wcs.to_sky(np.array([PART.row0 + 2.5]), np.array([1900.0]))
    # 9 pixels in 19.5 years, with the buffer 0: outside in 2000, inside now
    north = (inside[1] - border[1])[0]
    east = ((inside[0] - border[0] + 180) % 360 - 180)[0] * np.cos(np.radians(border[1][0]))
    years = 19.54
    row = {"ID": 7, "ra": border[0][0], "dec": border[1][0], "Tmag": 9.0, "disposition": ""}
    row |= {"pmRA": east / years * 3.6e6, "pmDEC": north / years * 3.6e6, "objType": "STAR"}
    stars = pd.concat([stars, pd.DataFrame([row])], ignore_index=True)
    archives(stars)
    write_image(tmp_path, wcs)
    fetch(tmp_path, window=PART, buffer=0.0)
    known, about = catalog(tmp_path, window=PART, buffer=0.0)
    assert (7 in set(known["tic_id"])) == (7 in truth(stars, wcs, PART, 0.0, about["epoch"])[0])
    assert 7 in set(read_tic(tmp_path / "tic.fits")["tic_id"])


def test_second_run_asks_nobody_and_gives_the_same_file(archives, tmp_path):
    wcs = optics(200.0, 30.0)
    archive = archives(sky_around(wcs, PART, seed=3))
    write_image(tmp_path, wcs)
    first = fetch(tmp_path, window=PART).read_bytes()
    n_asked = len(archive.asked)
    assert n_asked > 0
    assert fetch(tmp_path, window=PART).read_bytes() == first
    assert len(archive.asked) == n_asked

    # A neighboring window asks for what it does not share; a damaged file is fetched again.
    fetch(tmp_path, window=Window(100, 400, 1700, 2040))
    assert len(archive.asked) <= n_asked + 3
    n_asked = len(archive.asked)
    damaged = sorted((tmp_path / "cache").rglob("*.fits"))[0]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    fetch(tmp_path, window=Window(100, 400, 1700, 2040))
    assert len(archive.asked) == n_asked + 1
    # Another limit is another question.
    fetch(tmp_path, window=PART, faint_limit=15.0)
    assert len(archive.asked) > n_asked + 1


def test_interrupted_download_goes_on(archives, tmp_path):
    wcs = optics(0.0, 45.0)
    stars = sky_around(wcs, WHOLE, seed=4)
    archive = archives(stars)
    write_image(tmp_path, wcs)
    archive.troubles = [None] * 20 + [500] * 2
    with pytest.raises(ServiceError, match="asked 2 times"):
        fetch(tmp_path)
    assert not (tmp_path / "tic.fits").exists()
    asked_before = {(q["params"]["ra"], q["params"]["dec"]) for q in archive.asked[:20]}
    assert len(asked_before) == 20
    archive.asked.clear()
    fetch(tmp_path)
    assert asked_before.isdisjoint((q["params"]["ra"], q["params"]["dec"]) for q in archive.asked)
    check(*catalog(tmp_path), stars, wcs, WHOLE)


@pytest.mark.parametrize("source", ["mast", "vizier"])
def test_crowded_cells_are_fetched_in_quarters(archives, tmp_path, monkeypatch, source):
    wcs = optics(0.0, POLE)
    stars = sky_around(wcs, PART, seed=6)
    archive = archives(stars)
    write_image(tmp_path, wcs)
    for name in ("PAGE_SIZE", "MOST_ROWS"):
        monkeypatch.setattr(tic_service, name, {"PAGE_SIZE": 300, "MOST_ROWS": 1200}[name])
    tic_service._vizier.cache_clear()
    fetch(tmp_path, source=source, window=PART)
    tic_service._vizier.cache_clear()
    check(*catalog(tmp_path, window=PART), stars, wcs, PART)
    assert list((tmp_path / "cache").rglob("*.cut"))
    n_asked = len(archive.asked)
    fetch(tmp_path, source=source, window=PART)
    assert len(archive.asked) == n_asked


def test_list_of_another_piece_of_sky_is_refused(archives, tmp_path):
    wcs = optics(100.0, -20.0)
    archives(sky_around(wcs, PART, seed=7))
    write_image(tmp_path, wcs)
    fetch(tmp_path, window=PART)
    assert read_tic_region(tmp_path / "tic.fits").shape[1] == 4
    catalog(tmp_path, window=PART)
    for window, buffer in ((Window(1500, 1600, 300, 400), BUFFER), (PART, 5.0)):
        with pytest.raises(InputDataError, match=r"tic\.fits: made for another piece of the sky"):
            catalog(tmp_path, window=window, buffer=buffer)


def test_what_is_left_out_is_told(archives, tmp_path, caplog):
    caplog.set_level("INFO")
    wcs = optics(100.0, -20.0)
    stars = sky_around(wcs, PART, seed=8)
    stars.to_csv(tmp_path / "tic.csv", index=False)
    write_image(tmp_path, wcs)
    catalog(tmp_path, window=PART, tic="tic.csv")
    is_phantom = stars["disposition"] == "DUPLICATE"
    n_phantoms, good = is_phantom.sum(), stars[~is_phantom]
    told = f"{len(stars)} rows in {tmp_path / 'tic.csv'}: {n_phantoms} phantoms, 0 repeated, "
    told += f"{good['Tmag'].isna().sum()} without Tmag, {(good['Tmag'] > 16).sum()} fainter than 16"
    assert told in caplog.text


def test_folder_of_the_cache(monkeypatch, tmp_path):
    assert cache_folder(str(tmp_path)) == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / "tessphot"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert cache_folder(None) == tmp_path / "me" / ".cache" / "tessphot"


@pytest.mark.parametrize("sector", [14, None])
def test_footprint_by_pointing(archives, tmp_path, sector):
    """No image is there; the stars of the CCD are, in sectors past and to come."""
    tesswcs = pytest.importorskip("tesswcs", reason="the extra `pointings` is not installed")
    sector = sector or int(max(tesswcs.pointings["Sector"][tesswcs.pointings["Sector"] < 1000]))
    ccd_id = CcdId(sector, 2, 3)
    wcs = tesswcs.WCS.from_sector(sector, 2, 3)
    footprint = Footprint(wcs, PART)
    rng = np.random.default_rng(sector)
    row, column = rng.uniform(-200, 500, 4000), rng.uniform(1500, 2300, 4000)
    ra, dec = wcs.all_pix2world(column + 44, row, 0)
    stars = some_stars(ra, dec)
    archives(stars)
    fetch(tmp_path, window=PART, ffi_table=None, ccd_id=ccd_id)
    inside = (stars["Tmag"] <= FAINT_LIMIT) & (stars["disposition"] != "DUPLICATE")
    inside &= footprint.distance(ra, dec, row, column) < BUFFER
    assert inside.sum() > 500
    assert set(stars["ID"][inside]) <= set(read_tic(tmp_path / "tic.fits")["tic_id"])


def test_pointings_fit_a_real_image():
    """The WCS of tesswcs against that of the image, sector 1, camera 1, CCD 4."""
    tesswcs = pytest.importorskip("tesswcs", reason="the extra `pointings` is not installed")
    name = "ffi_cropped/tess2018206192942-s0001-1-4-0120-s_ffic.fits"
    path = REALDATA / name
    if not path.exists():
        pytest.skip("real TESS data are not beside the project")
    real = ffi_wcs(fits.getheader(path, 1))
    column, row = (grid.ravel() for grid in np.meshgrid(*2 * [np.linspace(44, 2091, 9)]))
    off = separation(
        *real.all_pix2world(column, row, 0),
        *tesswcs.WCS.from_sector(1, 1, 4).all_pix2world(column, row, 0),
    )
    assert off.max() * 3600 < 2 * 21.0
