"""PRF fits against apertures on real cutouts: whose light curves scatter less.

    python benchmarks/realdata.py --cutouts <folder> --stars <tic.csv> --prf <folder>

runs all steps over the cutouts of a CCD, measures every star by each method, and
compares the scatter of the same star in the same images.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import (
    CatalogSettings,
    CorrectionSettings,
    OutputSettings,
    PhotometrySettings,
    PrepareSettings,
    PrfSettings,
    TodoSettings,
)
from tessphot_lib.io.images.cutout_files import find_cutouts
from tessphot_lib.steps.average_image import run_average_image
from tessphot_lib.steps.catalog import run_catalog
from tessphot_lib.steps.cutout_table import run_cutout_table
from tessphot_lib.steps.cutouts import run_cutouts
from tessphot_lib.steps.hdf5 import run_hdf5
from tessphot_lib.steps.jitter import run_jitter
from tessphot_lib.steps.photometry import run_photometry
from tessphot_lib.steps.prf import run_prf
from tessphot_lib.steps.spacecraft import run_spacecraft
from tessphot_lib.steps.todo import run_todo

METHODS = ("aperture", "linpsf", "psf")
FAINT_LIMIT = 16.0  # [Tmag] of the stars that are measured
COMPARED_LIMIT = 14.0  # [Tmag] of those that are compared


def prepare(folder: Path, cutouts: Path, stars: Path, prf: Path | None, ccd_id: CcdId) -> None:
    """All steps before ``todo``."""
    paths = [Path(found.path) for found in find_cutouts(cutouts)[ccd_id]]
    table, ffis, catalog = (
        folder / name for name in ("cutouts.ecsv", "ffis.ecsv", "catalog.sqlite")
    )
    settings, blocks = PrepareSettings(), [folder / "blocks" / "cutouts.hdf5"]
    run_cutout_table(paths, table, ffis, ccd_id, on_bad_image="error")
    run_catalog(
        ffis, stars, catalog, ccd_id, settings=CatalogSettings(), window=Window(), cutouts=table
    )
    run_cutouts(table, ffis, catalog, blocks[0], ccd_id, settings=settings)
    average, jitter, path = (
        folder / name for name in ("average_image.fits", "jitter.ecsv", "spacecraft.ecsv")
    )
    run_jitter(blocks, jitter, ccd_id, settings=settings)
    foreign = {"foreign_light": folder / "foreign_light.hdf5"}
    run_average_image(blocks, catalog, jitter, average, ccd_id, **foreign, settings=settings)
    run_spacecraft([ffis], path, ccd_id.sector, ephemeris=None)
    pixels = folder / "pixels.hdf5"
    run_hdf5(
        blocks,
        ccd_id,
        average_image=average,
        jitter=jitter,
        **foreign,
        catalog=catalog,
        spacecraft=path,
        output=pixels,
        settings=settings,
    )
    chosen = PrfSettings() if prf is None else PrfSettings(source="spoc", folder=str(prf))
    checks = {name: folder / f"{name}.ecsv" for name in ("list_check", "unlisted")}
    run_prf(pixels, catalog, folder / "prf.fits", ccd_id, **checks, settings=chosen)


def measure(folder: Path, ccd_id: CcdId, method: str, *, correction: str = "none") -> pd.DataFrame:
    """Measure all stars by a method; one row per light curve, by TIC number."""
    photometry = PhotometrySettings(
        tiles=[1, 1], method=method, correction=CorrectionSettings(method=correction)
    )
    files = CcdFiles.in_folder(folder, todo=folder / f"todo_{method}.sqlite", trends=None)
    run_todo(
        ccd_id,
        pixels=files.pixels,
        catalog=files.catalog,
        prf=files.prf,
        list_check=files.list_check,
        unlisted=files.unlisted,
        output=files.todo,
        settings=TodoSettings(faint_limit=FAINT_LIMIT),
        photometry=photometry,
        cutouts=folder / "cutouts.ecsv",
        not_measured=folder / f"not_measured_{method}.ecsv",
    )
    curves = folder / method / "r0c0"
    run_photometry(
        files,
        ccd_id,
        light_curves=curves,
        diagnostics=folder / f"{method}.ecsv",
        tile="r0c0",
        settings=photometry,
        output_settings=OutputSettings(),
        threads=1,
    )
    rows = [scatter(path) for path in sorted(curves.glob("*.fits.gz"))]
    return pd.DataFrame(rows).set_index("tic_id")


def scatter(path: Path) -> dict[str, Any]:
    """Brightness and point-to-point scatter of a light curve, in e-/s and relative.

    Second differences: what a spotted star does in an hour is no noise.
    """
    with fits.open(path) as hdus:
        header, table = hdus[0].header, hdus[1].data
        good = table["QUALITY"] == 0
        time, flux, error = (
            np.array(table[name], dtype=float) for name in ("TIME", "FLUX_RAW", "FLUX_RAW_ERR")
        )
    flux[~good] = np.nan
    second = flux[2:] - 2 * flux[1:-1] + flux[:-2]
    steps = np.diff(time)
    regular = np.abs(steps / np.nanmedian(steps) - 1) < 0.2
    known = np.isfinite(second) & regular[1:] & regular[:-1]
    noise = 1.4826 * float(np.median(np.abs(second[known]))) / np.sqrt(6)
    error = float(np.median(error[1:-1][known]))
    median = float(np.nanmedian(flux))
    return {
        "tic_id": header["TICID"],
        "tmag": header["TESSMAG"],
        "method": header["PHOTMET"],
        "flux": median,
        "noise": noise,
        "relative": noise / median,
        "excess": noise / error,
    }


def compare(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Stars that all methods measured, brighter than the limit: columns by method and quantity."""
    joined = pd.concat(tables, axis=1, join="inner")
    return joined[joined["aperture", "tmag"] < COMPARED_LIMIT]


def main() -> None:
    """Print the ratios of the scatter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cutouts", type=Path, required=True)
    parser.add_argument("--stars", type=Path, required=True)
    parser.add_argument("--prf", type=Path, help="folder of the mission's PRFs")
    parser.add_argument("--ccd", default="s0008-cam3-ccd4", type=CcdId.from_string)
    parser.add_argument("--folder", type=Path, help="kept: a second call only measures")
    parser.add_argument("--list", action="store_true", help="each star, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        given = arguments.cutouts, arguments.stars, arguments.prf, arguments.ccd
        if not (folder / "prf.fits").exists():
            prepare(folder, *given)
        tables = {name: measure(folder, arguments.ccd, name) for name in METHODS}
    stars = compare(tables)
    if arguments.list:
        print(listed(stars))
    print(f"{len(stars)} stars of Tmag < {COMPARED_LIMIT:g}; medians (10 % and 90 % of the stars)")
    for name in METHODS[1:]:
        for what in ("relative", "noise"):
            ratio = stars[name, what] / stars["aperture", what]
            print(
                f"{name} over aperture, {what}: {ratio.median():.3f} "
                f"({ratio.quantile(0.1):.2f}, {ratio.quantile(0.9):.2f})"
            )


def listed(stars: pd.DataFrame) -> str:
    """Lines with the relative scatter [ppm] and its ratio to the stated error of each star."""
    columns = {"Tmag": stars["aperture", "tmag"]}
    for name in METHODS:
        columns[f"{name} ppm"] = (1e6 * stars[name, "relative"]).round()
        columns[f"{name} by error"] = stars[name, "excess"].round(2)
    return pd.DataFrame(columns).sort_values("Tmag").to_string()


if __name__ == "__main__":
    main()
