"""``tessphot get`` without the network: cutouts in a folder, stars in a table."""

import json
import shutil
from io import StringIO
from pathlib import Path

import lightkurve
import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from paths import REALDATA
from pipeline_run import by_tic_id

from tessphot_lib.cli import main
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.identifiers import FIRST_MADE_UP
from tessphot_lib.get.brightness import tmag_of_pixels
from tessphot_lib.get.folder import CutoutFolder, StarTable
from tessphot_lib.get.sky import Star
from tessphot_lib.io.products.joined_fits import read_joined
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.steps import joined as join

STAMPS, REAL_STARS = REALDATA / "stamps13", REALDATA / "tic_more.csv"


@pytest.fixture
def get(cut, tmp_path, capsys):
    """Run the command; returns exit code, lines on stdout and on stderr."""

    def call(*arguments, cutouts=cut.folder, stars=cut.stars):
        where = ["--cutouts", str(cutouts), "--stars", str(stars)]
        code = main(["get", *map(str, arguments), *where, "--output", str(tmp_path / "out")])
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return call


def position_of(stars, tic_id):
    table = pd.read_csv(stars)
    row = table[table["ID"] == tic_id].iloc[0]
    return row["ra"], row["dec"], row["Tmag"]


def test_one_star(cut, get, tmp_path):
    tic_id = cut.tic_ids[0]
    code, out, err = get(tic_id)
    assert (code, err) == (0, [])
    assert out[0].startswith(f"TIC {tic_id}, Tmag ")
    assert out[1].startswith("  sector 14, camera 3, CCD 4: ")
    folder = tmp_path / "out" / f"TIC{tic_id}"
    (path,) = by_tic_id(folder / "results").values()
    curve, _, header = read_light_curve(folder / path.name)
    joined, sectors, joined_header = read_joined(folder / f"tic{tic_id}_joined.fits")
    assert (joined_header["TICID"], joined_header["TESSMAG"]) == (tic_id, header["TESSMAG"])
    np.testing.assert_array_equal(joined["TIME"], curve.time[np.isfinite(curve.time)])
    (row,) = sectors
    assert (row["SECTOR"], row["CAMERA"], row["CCD"]) == (14, 3, 4)
    assert row["RATIO"] == 1.0
    assert row["CATRATIO"] == pytest.approx(1.0, abs=0.1)
    good = np.isfinite(joined["FLUX"])
    assert good.sum() == row["N_GOOD"]
    # The light of others is taken out, so that the star's own amplitude is larger.
    np.testing.assert_allclose(
        (joined["FLUX"][good] - 1) * row["CROWDSAP"],
        1e-6 * curve.flux_corr[np.isfinite(curve.time)][good],
        rtol=1e-6,
        atol=1e-9,
    )
    text = Table.read(folder / f"tic{tic_id}_joined.ecsv")
    np.testing.assert_array_equal(text["flux"], joined["FLUX"])
    assert text.meta["sectors"][0]["RATIO"] == 1.0
    assert (folder / f"tic{tic_id}_joined.png").stat().st_size > 10_000


@pytest.mark.filterwarnings("default")  # those of lightkurve's own imports and units
def test_lightkurve_reads_the_joined_light_curve(cut, get, tmp_path):
    tic_id = cut.tic_ids[1]
    get(tic_id)
    path = tmp_path / "out" / f"TIC{tic_id}" / f"tic{tic_id}_joined.fits"
    curve = lightkurve.read(path)
    joined, _, _ = read_joined(path)
    np.testing.assert_array_equal(np.asarray(curve.flux), joined["FLUX"])
    assert np.nanmedian(np.asarray(curve.flux)) == pytest.approx(1.0, abs=1e-6)
    both = lightkurve.LightCurveCollection([curve, curve]).stitch()
    assert np.nanmax(np.abs(np.asarray(both.flux) - 1)) < 1


def test_nothing_is_made_twice(cut, get, tmp_path):
    get(cut.tic_ids[0])
    folder = tmp_path / "out" / f"TIC{cut.tic_ids[0]}" / "results" / str(cut.ccd_id)
    before = (folder / "pixels.hdf5").stat().st_mtime_ns
    assert get(cut.tic_ids[0])[0] == 0
    assert (folder / "pixels.hdf5").stat().st_mtime_ns == before
    assert get(cut.tic_ids[0], "--method", "linpsf")[0] == 0
    assert (folder / "pixels.hdf5").stat().st_mtime_ns != before


def test_a_star_by_its_coordinates(cut, get):
    ra, dec, _ = position_of(cut.stars, cut.tic_ids[0])
    code, out, _ = get(f"{ra} {dec + 1 / 3600:+.6f}")
    assert code == 0
    assert f"(TIC {cut.tic_ids[0]})" in out[0]


def test_a_star_that_the_list_does_not_have(cut, get, tmp_path):
    """It is measured at its coordinates, by the brightness that its pixels show."""
    ra, dec, tmag = position_of(cut.stars, cut.tic_ids[0])
    table = pd.read_csv(cut.stars)
    stars = tmp_path / "without.csv"
    table[table["ID"] != cut.tic_ids[0]].to_csv(stars, index=False)
    code, out, _ = get(f"{ra},{dec}", stars=stars)
    assert code == 0
    assert "(not in the list of stars)" in out[0]
    assert float(out[0].rsplit(" ", 1)[1]) == pytest.approx(tmag, abs=0.3)
    (folder,) = (tmp_path / "out").iterdir()
    (tic_id,) = by_tic_id(folder / "results")
    assert tic_id >= FIRST_MADE_UP
    _, _, header = read_joined(folder / f"tic{tic_id}_joined.fits")
    assert header["OBJECT"] == f"{ra:.5f} {dec:+.5f}"
    made = json.loads((folder / "results" / str(cut.ccd_id) / "made.json").read_text())
    assert made["star"]["tic_id"] == tic_id
    code, out, _ = get(f"{ra},{dec},{tmag}", stars=stars)
    assert out[0].endswith(f"Tmag {tmag:.2f}")


def test_folders_may_be_in_the_home_of_the_user(cut, monkeypatch):
    monkeypatch.setenv("HOME", str(cut.folder.parent))
    here = Path("~", cut.folder.name)
    assert CutoutFolder(here).files == CutoutFolder(cut.folder).files
    monkeypatch.setenv("HOME", str(cut.stars.parent))
    assert StarTable(Path("~", cut.stars.name)).path == cut.stars


def test_light_curves_are_read_once(cut, get, monkeypatch):
    read, of_file = [], join.read_light_curve

    def counted(path):
        read.append(path)
        return of_file(path)

    monkeypatch.setattr(join, "read_light_curve", counted)
    assert get(cut.tic_ids[0])[0] == 0
    assert len(read) == 1


def test_brightness_is_from_the_cutout_that_has_the_star(cut):
    """Not from the first one, which is of another star."""
    for tic_id, of_star in zip(cut.tic_ids, cut.paths, strict=True):
        ra, dec, tmag = position_of(cut.stars, tic_id)
        star = Star("x", ra, dec)
        orders = cut.paths, cut.paths[::-1]
        found = {tmag_of_pixels(star, paths, cut.ccd_id, 2019.5) for paths in orders}
        assert found == {tmag_of_pixels(star, [of_star], cut.ccd_id, 2019.5)}
        assert found.pop() == pytest.approx(tmag, abs=0.3)
    with pytest.raises(InputDataError, match="does not lie on its pixels, nor on those of 1 other"):
        tmag_of_pixels(Star("x", ra, dec + 1.0), cut.paths, cut.ccd_id, 2019.5)


def test_a_cutout_that_cannot_be_read_leaves_the_others(cut, tmp_path):
    ra, dec, tmag = position_of(cut.stars, cut.tic_ids[0])
    damaged = tmp_path / cut.paths[1].name
    damaged.write_bytes(b"no FITS")
    paths = [damaged, cut.paths[0]]
    found = tmag_of_pixels(Star("x", ra, dec), paths, cut.ccd_id, 2019.5)
    assert found == pytest.approx(tmag, abs=0.3)
    with pytest.raises(InputDataError, match=damaged.name):
        tmag_of_pixels(Star("x", ra, dec), [damaged], cut.ccd_id, 2019.5)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--tmag", "nan", "'nan' is no magnitude"),
        ("--tmag", "bright", "'bright' is no magnitude"),
        ("--size", "0", "'0' is no number of pixels from 3 to 99"),
        ("--size", "-5", "'-5' is no number of pixels"),
        ("--size", "100", "'100' is no number of pixels"),
    ],
)
def test_impossible_options_are_refused(option, value, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["get", "5", option, value])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def there(cut):
    """Where cutouts are looked for, in words."""
    return f"in {str(cut.folder)!r} (2 cutouts of sector 14)"


def test_each_failure_is_a_line_and_the_others_go_on(cut, get, tmp_path):
    good = cut.tic_ids[0]
    listed = tmp_path / "list.csv"
    listed.write_text(f"TIC 5\n500,10\nTIC {good}\n{good}\n10.0 20.0\n")
    code, out, err = get("--list", listed)
    assert code == 1
    assert out[0].startswith(f"TIC {good},")
    assert err == [
        f"tessphot: TIC 5: {cut.stars}: TIC 5 is not in the list",
        f"tessphot: {listed}: line 2: '500,10' is not right ascension and declination in degrees",
        f"tessphot: TIC {good}: given twice, measured once",
        f"tessphot: 10.00000 +20.00000: no cutout of any sector {there(cut)} has it, at "
        "10.00000 +20.00000",
    ]


def test_a_name_beside_coordinates_is_what_the_star_is_called(cut, get, tmp_path):
    listed = tmp_path / "list.csv"
    listed.write_text("name,ra,dec\nNo 1/a,10.0,20.0\nNo 1/a,11.0,20.0\nNo 1/a,10.0,20.0\n")
    code, out, err = get("--list", listed)
    assert (code, out) == (1, [])
    nothing = f"no cutout of any sector {there(cut)} has it, at"
    assert err == [
        f"tessphot: No 1/a: {nothing} 10.00000 +20.00000",
        f"tessphot: 11.00000 +20.00000: {nothing} 11.00000 +20.00000",
        "tessphot: No 1/a: given twice, measured once",
    ]
    folders = {path.name for path in (tmp_path / "out").iterdir()}
    assert folders == {"No_1_a", "11.00000_+20.00000"}


def test_a_list_may_come_from_the_standard_input(cut, get, monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO("# mine\nTIC 5\n500,10\n"))
    code, out, err = get("--list", "-")
    assert (code, out) == (1, [])
    assert err == [
        f"tessphot: TIC 5: {cut.stars}: TIC 5 is not in the list",
        "tessphot: standard input: line 3: '500,10' is not right ascension and declination in "
        "degrees",
    ]


def test_a_sector_without_cutout_is_told(cut, get):
    star = f"tessphot: TIC {cut.tic_ids[0]}"
    code, _, err = get(cut.tic_ids[0], "--sectors", "13,14")
    assert (code, err) == (0, [f"{star}: sector 13: no cutout {there(cut)}"])
    code, _, err = get(cut.tic_ids[0], "--sectors", "10-14,17")
    assert (code, err) == (0, [f"{star}: sectors 10-13,17: no cutout {there(cut)}"])
    code, _, err = get(cut.tic_ids[0], "--sectors", "1-3")
    assert code == 1
    assert f"no cutout of sectors 1-3 {there(cut)} has it" in err[0]


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_a_damaged_cutout_leaves_other_sectors(cut, get, tmp_path):
    folder = tmp_path / "cutouts"
    shutil.copytree(cut.folder, folder)
    path = next(path for path in folder.iterdir() if path.name == cut.paths[0].name)
    damaged = path.with_name(path.name.replace("-s0014-", "-s0015-"))
    damaged.write_bytes(path.read_bytes()[:20_000])
    code, _, err = get(cut.tic_ids[0], cutouts=folder)
    assert code == 0
    assert len(err) == 1
    assert f"TIC {cut.tic_ids[0]}: s0015-cam3-ccd4: {damaged}" in err[0]


@pytest.mark.realdata
@pytest.mark.filterwarnings("default")  # lightkurve's
def test_real_stamps(get, tmp_path):
    if not STAMPS.is_dir():
        pytest.skip(f"no real data: {STAMPS} is absent")
    code, out, err = get("TIC 128669999", "105799999", cutouts=STAMPS, stars=REAL_STARS)
    assert code == 0
    assert [line for line in out if line.startswith("TIC")] == [
        "TIC 128669999, Tmag 12.82",
        "TIC 105799999, Tmag 9.55",
    ]
    assert len(err) == 1  # the stamp of sector 8 lies on columns that see no sky
    assert "s0008-cam2-ccd1" in err[0]
    path = tmp_path / "out" / "TIC128669999" / "tic128669999_joined.fits"
    curve, (row,), _ = read_joined(path)
    assert row["N_GOOD"] > 1000
    assert row["CDPP_1H"] < 1000
    assert np.nanmedian(curve["FLUX"]) == pytest.approx(1, abs=1e-6)
