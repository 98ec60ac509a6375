"""A star in images and in target pixel files of one CCD: neither is taken for the other."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from pixel_cube import CCD, open_cube

import tessphot_lib
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.io.products.cbv_fits import cbv_path
from tessphot_lib.io.products.prf_fits import write_prf
from tessphot_lib.io.products.todo_sqlite import create_todo
from tessphot_lib.io.products.todo_tables import Status
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.report.release import release
from tessphot_lib.report.site.run import write_run_page
from tessphot_lib.report.site.stars import star_table

STAMPS = replace(CCD, cadence=120)
IN_BOTH, IN_IMAGES = 100, 200
WINDOW = Window(40, 52, 505, 520)
HLSP = {"id": "small", "name": "A small window", "lead": "A. Person"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One star in both, another one in the images only; a light curve of each."""
    folder = tmp_path_factory.mktemp("run") / "results"
    stars = pd.DataFrame(
        {
            "priority": [1, 2, 3],
            "tic_id": [IN_BOTH, IN_BOTH, IN_IMAGES],
            "sector": CCD.sector,
            "camera": CCD.camera,
            "ccd": CCD.ccd,
            "datasource": ["ffi", "tpf", "ffi"],
            "cadence_seconds": [1800, 120, 1800],
            "cbv_area": 231,
            "tmag": [9.0, 9.0, 10.0],
            "row": [45.0, 45.0, 47.0],
            "column": [510.0, 510.0, 512.0],
            "method": "aperture",
            "status": int(Status.OK),
        }
    )
    names = [
        f"{ccd_id}/tic{tic_id}_lc.fits"
        for ccd_id, tic_id in ((CCD, IN_BOTH), (STAMPS, IN_BOTH), (CCD, IN_IMAGES))
    ]
    measured = pd.DataFrame(
        {
            "priority": [1, 2, 3],
            "lightcurve": names,
            "method_used": "aperture",
            "elaptime": 1.0,
            "variability": [1.0, 2.0, 3.0],
            "mean_flux": [1.0, 2.0, 3.0],
        }
    )
    for ccd_id, source in ((CCD, stars[stars["datasource"] == "ffi"]), (STAMPS, stars[1:2])):
        home = folder / str(ccd_id)
        home.mkdir(parents=True)
        exposed = {"exposure_time": np.full(3, 1425.6)}
        exposed["attributes"] = {"time_error": 0.02}
        open_cube(home, WINDOW, np.full((3, *WINDOW.shape), 50.0), **exposed).close()
        write_prf(home / "prf.fits", generic_prf(), ccd_id, attributes={})
        fits.PrimaryHDU(np.zeros((2, 3))).writeto(home / "average_image.fits")
        create_todo(home / "todo.sqlite", source.assign(priority=range(1, len(source) + 1)))
        vectors = folder / "cbv" / cbv_path(ccd_id, float(source["cadence_seconds"].iloc[0]))
        vectors.parent.mkdir(exist_ok=True, parents=True)
        header = fits.Header({"TIMEDEL": float(source["cadence_seconds"].iloc[0])})
        fits.PrimaryHDU(header=header).writeto(vectors)
    create_todo(folder / "todo.sqlite", stars, diagnostics=measured)
    for name in names:
        primary = fits.PrimaryHDU(header=fits.Header({"HLSPID": "small", "CREATOR": "tessphot"}))
        columns = [fits.Column("TIME", "D", array=[1.0])]
        table = fits.BinTableHDU.from_columns(columns, name="LIGHTCURVE")
        fits.HDUList([primary, table]).writeto(folder / name)
    record = {"software": "tessphot", "began": None, "ended": None}
    record |= {"settings": {"input": {"source": "ffi"}, "output": {"version": 1, "hlsp": HLSP}}}
    counts = {"images_used": 3, "stars": 1, "light_curves": 1}
    record["ccds"] = {str(CCD): counts, str(STAMPS): counts}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_table_of_a_ccd_has_the_stars_of_its_own_pixels(results):
    images, stamps = (star_table(results / "todo.sqlite", one) for one in (CCD, STAMPS))
    assert list(images["tic_id"]) == [IN_BOTH, IN_IMAGES]
    assert list(images["cadence_seconds"]) == [1800, 1800]
    assert [*stamps["tic_id"], *stamps["cadence_seconds"]] == [IN_BOTH, 120]


def test_cards_of_the_run_count_the_stars_of_their_own_pixels(results, tmp_path):
    page = tmp_path / "index.html"
    write_run_page(page, results / "todo.sqlite", results / "run.json", tmp_path)
    cards = re.split(r'<div class="card">', page.read_text())[1:]
    images = "Sector 14, camera 2, CCD 3"
    for card, name, title, said in (
        (cards[0], str(CCD), images, "2 light curves of 2"),
        (cards[1], str(STAMPS), f"{images}, target pixel files of 120 s", "1 light curve of 1"),
    ):
        assert f'<a href="{name}/index.html">{title}</a>' in card
        assert said in card


def test_star_in_images_and_target_pixel_files_is_chosen_by_cadence(results):
    run = tessphot_lib.Run(results)
    assert run.ccds == [CCD, STAMPS]
    with pytest.raises(InputDataError, match=rf"{CCD} \(1800 s\), {STAMPS} \(120 s\): name"):
        run.star(IN_BOTH)
    star = run.star(IN_BOTH, cadence=120)
    assert (star.ccd_id, star.path.parent.name) == (STAMPS, str(STAMPS))
    star = run.star(IN_BOTH, sector=14, cadence=1800)
    assert (star.ccd_id, star.folder.name, star.path.parent.name) == (CCD, str(CCD), str(CCD))
    assert run.star(IN_IMAGES).ccd_id == CCD
    with pytest.raises(InputDataError, match=r"TIC 200 is not on the list.* with 20 s"):
        run.star(IN_IMAGES, cadence=20)


def test_release_has_the_files_of_each_cadence(results, tmp_path):
    output = tmp_path / "delivery"
    settings = json.loads((results / "run.json").read_text())["settings"]["output"]
    assert release(results, output, settings).n_light_curves == 3
    names = {path.name for path in output.rglob("*.fits")}
    of_images = {f"hlsp_small_tess_ffi_s0014-2-3-ccd_tess_v01_{x}.fits" for x in ("img", "prf")}
    of_stamps = {one.replace("ffi", "tpf").replace("-ccd", "-c0120-ccd") for one in of_images}
    assert of_images | of_stamps < names
    assert "hlsp_small_tess_tpf_tic00000000100-s0014-2-3-c0120_tess_v01_lc.fits" in names
    assert "hlsp_small_tess_ffi_tic00000000100-s0014-2-3-c1800_tess_v01_lc.fits" in names
    cbvs = output / "s0014" / "cbv"
    vectors = {
        str(path.relative_to(cbvs)): fits.getheader(path)["TIMEDEL"]
        for path in cbvs.rglob("*.fits")
    }
    assert vectors == {
        "hlsp_small_tess_ffi_s0014-2-3-ccd_tess_v01_cbv.fits": 1800,
        "c0120/hlsp_small_tess_tpf_s0014-2-3-c0120-ccd_tess_v01_cbv.fits": 120,
    }
    assert (output / "hlsp_small_tess_ffi_all_tess_v01_targets.csv").exists()
