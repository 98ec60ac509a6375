"""All figures of the section "On real pixels": `make benchmark-real`.

    python benchmarks/real_pixels.py [--folder <kept>] [--only <ccd> ...]

runs all steps over the cutouts in ../shared/realdata, CCD by CCD, measures each star by the
method that is chosen for it, by apertures and by PRF fits, and prints the tables for
benchmarks/README.md: errors over scatter, wild points, times, sky, zero points, and what FLUX_CORR
is worth. Where the data are absent it says so and does nothing.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from errors import METHODS, MIN_IMAGES, by_magnitude, measure_ccd, options, wanted_ccds
from numpy.typing import NDArray
from realdata import measure

from tessphot_lib.catalog.proper_motion import CATALOG_EPOCH, at_epoch
from tessphot_lib.core.constants import (
    BTJD_OFFSET,
    DAYS_PER_YEAR,
    SECONDS_PER_DAY,
    SPEED_OF_LIGHT_KM_PER_S,
)
from tessphot_lib.core.errors import TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.mission.ephemeris import read_ephemeris
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.times.barycenter import star_time_correction

J2000 = 2451545.0 - BTJD_OFFSET  # [BTJD]
AROUND = 12  # images on each side that a point is compared with
WILD_SIGMA, WILD_CHANGE = 6.0, 0.02  # times the scatter, and of the flux, that a point is off by
FAR_SIGMA = 8.0  # of its own error
MIN_POINTS = 20


def light_curve(path: Path, ephemeris: Path) -> dict[str, Any]:
    """What one light curve shows; points are those with QUALITY 0."""
    with fits.open(path) as hdus:
        header, table = hdus[0].header, hdus[1].data
        columns = ("TIME", "TIMECORR", "FLUX_RAW", "FLUX_RAW_ERR", "FLUX_BKG", "FLUX_CORR")
        time, timecorr, flux, error, sky, corrected = (
            np.array(table[name], dtype=float) for name in columns
        )
        is_good = (table["QUALITY"] == 0) & np.isfinite(flux)
        size = max(int(np.sum((hdus["APERTURE"].data & 2) > 0)), 1)
    result = {
        "tmag": header["TESSMAG"],
        "time_error": off_by(time - timecorr, timecorr, header, ephemeris),
        "stated": 1e3 * header["TIMEERR"],
        "sky": float(np.nanmin(sky[is_good] / size)) if np.isfinite(sky[is_good]).any() else np.nan,
        "no_sky": int(np.sum(~np.isfinite(sky[is_good]))),
        "n_points": int(is_good.sum()),
    }
    if is_good.sum() < MIN_POINTS:
        return result
    flux, error, time, corrected = (one[is_good] for one in (flux, error, time, corrected))
    middle = float(np.median(flux))
    off = flux - running_median(flux)
    spread = 1.4826 * float(np.median(np.abs(off - np.median(off))))
    is_wild = (np.abs(off) > WILD_SIGMA * spread) & (np.abs(off) > WILD_CHANGE * abs(middle))
    is_far = (np.abs(off) > FAR_SIGMA * error) & is_wild
    relative = flux / middle - 1
    return result | {
        "wild": int(is_wild.sum()),
        "far": int(is_far.sum()),
        "uncorrected": int(np.sum(~np.isfinite(corrected))),
        "is_corrected": header["CORRMETH"] != "none",
        "points_ratio": scatter(1e-6 * corrected) / scatter(relative),
        "days_ratio": daily(time, 1e-6 * corrected) / daily(time, relative),
    }


def running_median(values: NDArray) -> NDArray:
    """Median of each value and `AROUND` on each side."""
    return np.array(
        [
            np.median(values[max(0, index - AROUND) : index + AROUND + 1])
            for index in range(len(values))
        ]
    )


def scatter(values: NDArray) -> float:
    """Point-to-point scatter, by second differences."""
    return float(np.nanmedian(np.abs(np.diff(values, 2))))


def daily(time: NDArray, values: NDArray) -> float:
    """Standard deviation of daily means; NaN of fewer than three."""
    table = pd.Series(values).groupby(np.floor(time)).mean().dropna()
    return float(table.std(ddof=0)) if len(table) > 2 else np.nan


def off_by(time: NDArray, timecorr: NDArray, header: fits.Header, ephemeris: Path) -> float:
    """Largest error of barycentric corrections against JPL's path of TESS [ms]; NaN: unknown."""
    known = np.isfinite(timecorr)
    keys = {"ra_j2000": "RA_OBJ", "dec_j2000": "DEC_OBJ", "pm_ra": "PMRA", "pm_dec": "PMDEC"}
    star = {name: [float(header.get(key) or 0.0)] for name, key in keys.items()}
    epoch = CATALOG_EPOCH + (float(np.median(time[known])) - J2000) / DAYS_PER_YEAR
    ra, dec = at_epoch(pd.DataFrame(star), epoch)
    for path in sorted(ephemeris.glob("*.csv.gz")):
        try:
            found = read_ephemeris(path, time[known])
        except TessphotError:
            continue
        light_days = found.position / (SPEED_OF_LIGHT_KM_PER_S * SECONDS_PER_DAY)
        true = star_time_correction(light_days, ra, dec)[0]
        return float(1e3 * SECONDS_PER_DAY * np.abs(timecorr[known] - true).max())
    return np.nan


def of_ccd(folder: Path, ccd_id: CcdId, ephemeris: Path) -> dict[str, Any]:
    """Row of the table of CCDs."""
    measure(folder, ccd_id, "auto", correction="motion")
    paths = sorted((folder / "auto").rglob("*.gz"))
    stars = pd.DataFrame([light_curve(path, ephemeris) for path in paths])
    prf = read_prf(folder / "prf.fits")
    row = {"stars": len(stars), "points": int(stars["n_points"].max())}
    for name in ("wild", "far", "uncorrected"):
        row[name] = int(stars[name].sum()) if name in stars else 0
    if stars["time_error"].notna().any():
        row["time error (ms)"] = f"{stars['time_error'].max():.2f}"
    row["TIMEERR (ms)"] = f"{stars['stated'].max():.2f}"
    row["lowest sky"] = f"{stars['sky'].min():.1f}"
    row["no sky"] = int(stars["no_sky"].sum())
    row["zero point"] = f"{prf.zeropoint:.3f} +- {prf.zeropoint_error:.3f} ({prf.zeropoint_stars})"
    if "is_corrected" in stars:
        row["corrected"] = int(stars["is_corrected"].sum())
        for name in ("points_ratio", "days_ratio"):
            ratio = stars[name].replace([np.inf], np.nan).dropna()
            if len(ratio):
                row[name.replace("_", " ")] = f"{ratio.median():.3f}, {ratio.max():.3f}"
    return row


def as_markdown(table: pd.DataFrame) -> str:
    """A table as it stands in the README."""
    names = [table.index.name or "", *table.columns]
    lines = ["| " + " | ".join(map(str, names)) + " |", "|" + "---|" * len(names)]
    for name, row in table.iterrows():
        values = ["" if pd.isna(value) else value for value in row]
        values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
        lines.append("| " + " | ".join(map(str, [name, *values])) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    arguments = options(__doc__).parse_args()
    if not arguments.data.is_dir():
        print(f"{arguments.data}: not there, nothing is measured")
        return
    rows, tables, ephemeris = {}, [], arguments.data / "ephemeris"
    with tempfile.TemporaryDirectory() as scratch:
        for one in wanted_ccds(arguments, Path(scratch)):
            try:
                tables.append(measure_ccd(*one, is_told=False))
                rows[str(one.ccd_id)] = of_ccd(one.folder, one.ccd_id, ephemeris)
            except TessphotError as err:
                print(f"{one.ccd_id}: {err}\n")
    print(as_markdown(pd.DataFrame.from_dict(rows, orient="index").rename_axis("CCD")))
    measured = [table for table in tables if len(table) >= 1]
    if measured:
        joined = pd.concat(measured)
        for method in METHODS:
            print(f"\n`{method}`:\n\n{by_magnitude(joined[joined['method'] == method])}")
    print(f"\nCCDs with fewer than {MIN_IMAGES} images are not in the tables by magnitude.")


if __name__ == "__main__":
    main()
