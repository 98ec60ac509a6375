"""Error bars and zero points on real cutouts.

    python benchmarks/errors.py
    python benchmarks/errors.py --light-curves <results/ccd/lightcurves>

runs all steps over the cutouts in ../shared/realdata, CCD by CCD, and compares the stated errors
of the light curves with their scatter (second differences: what a star does in an hour is no
noise), by magnitude, and the zero points with 20.44.
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from realdata import PROJECT, measure, prepare, scatter

from tessphot_lib.core.errors import TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.images.cutout_files import find_cutouts
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf

DATA = PROJECT.parent / "shared" / "realdata"
FOLDERS = {  # of cutouts, with the stars on them and the folder of the mission's PRFs
    "tesscut_s0008_cam3_ccd4": ("tic_ic2391.csv", "prf_s0004_cam3_ccd4"),
    "stamps13": ("tic_more.csv", None),
    "tesscut_more": ("tic_more.csv", None),
    "sparse20": ("tic_more.csv", None),
}
METHODS = ("aperture", "linpsf")
BINS = (4, 7, 9, 11, 12, 13, 14, 15, 16)  # [Tmag]
MIN_IMAGES = 20


class Wanted(NamedTuple):
    """A CCD that is measured: the first arguments of `measure_ccd`."""

    folder: Path
    cutouts: Path
    stars: Path
    prf: Path | None
    ccd_id: CcdId


def options(doc: str) -> argparse.ArgumentParser:
    """Parser of the options by which `wanted_ccds` chooses."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="../shared/realdata")
    parser.add_argument("--folder", type=Path, help="kept: a second call only measures")
    parser.add_argument("--only", nargs="*", help="CCDs, such as s0008-cam3-ccd4")
    return parser


def wanted_ccds(arguments: argparse.Namespace, scratch: Path) -> Iterator[Wanted]:
    """All CCDs of `FOLDERS`, or those that are asked for."""
    for name, (stars, prf) in FOLDERS.items():
        cutouts = arguments.data / name
        for ccd_id in sorted(find_cutouts(cutouts), key=str):
            if not arguments.only or str(ccd_id) in arguments.only:
                folder = (arguments.folder or scratch) / name / str(ccd_id)
                files = arguments.data / stars, prf and arguments.data / prf
                yield Wanted(folder, cutouts, *files, ccd_id)


def measure_ccd(
    folder: Path,
    cutouts: Path,
    stars: Path,
    prf: Path | None,
    ccd_id: CcdId,
    *,
    is_told: bool = True,
) -> pd.DataFrame:
    """Measure the stars of a CCD by each method; print what is known of it as a whole."""
    if not (folder / "prf.fits").exists():
        prepare(folder, cutouts, stars, prf, ccd_id)
    with PixelCube(folder / "pixels.hdf5") as cube:
        n_images = cube.n_cadences
    if is_told:
        print(f"{ccd_id} ({cutouts.name}, {n_images} images)")
        print(f"  zero point: {zero_point(folder / 'prf.fits')}")
    if n_images < MIN_IMAGES:
        return pd.DataFrame()
    tables = []
    for method in METHODS:
        table = measure(folder, ccd_id, method)
        tables.append(table.assign(method=method, ccd=str(ccd_id)))
    return pd.concat(tables)


def zero_point(path: Path) -> str:
    """The zero point of a CCD, as text."""
    prf = read_prf(path)
    return (
        f"{prf.zeropoint:.3f} +- {prf.zeropoint_error:.3f}, {prf.zeropoint_stars} stars, "
        f"PRF {prf.source[:12]}"
    )


def by_magnitude(stars: pd.DataFrame) -> str:
    """Stated error over scatter in bins of magnitude: median, and fraction within 0.8 to 1.25."""
    lines = ["| Tmag | stars | error / scatter, median | 10 %, 90 % | within 0.8-1.25 |"]
    lines.append("|---|---|---|---|---|")
    for bright, faint in itertools.pairwise(BINS):
        ratio = 1 / stars["excess"][(stars["tmag"] >= bright) & (stars["tmag"] < faint)]
        if not ratio.size:
            continue
        low, middle, high = ratio.quantile([0.1, 0.5, 0.9])
        inside = 100 * np.mean((ratio >= 0.8) & (ratio <= 1.25))
        lines.append(
            f"| {bright}-{faint} | {ratio.size} | {middle:.2f} | {low:.2f}, {high:.2f} "
            f"| {inside:.0f} % |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = options(__doc__)
    parser.add_argument("--list", action="store_true", help="each star, too")
    parser.add_argument("--light-curves", type=Path, help="folder of those of any run, instead")
    arguments = parser.parse_args()
    if arguments.light_curves:
        paths = sorted(arguments.light_curves.rglob("*.fits.gz"))
        stars = pd.DataFrame([scatter(path) for path in paths])
        for method, some in stars.groupby("method"):
            print(f"\n{method}\n\n{by_magnitude(some)}")
        return
    if not arguments.data.is_dir():
        print(f"{arguments.data}: not there, nothing is measured")
        return
    tables = []
    with tempfile.TemporaryDirectory() as scratch:
        for one in wanted_ccds(arguments, Path(scratch)):
            try:
                tables.append(measure_ccd(*one))
            except TessphotError as err:
                print(f"{one.ccd_id}: {err}")
    stars = pd.concat(tables)
    if arguments.list:
        print(stars.sort_values(["method", "tmag"]).to_string())
    for method in METHODS:
        print(f"\n{method}\n\n{by_magnitude(stars[stars['method'] == method])}")


if __name__ == "__main__":
    main()
