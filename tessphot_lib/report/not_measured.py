"""Stars that get no light curve, and why: excluded, too faint, or without pixels."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.constants import PIXEL_SCALE_DEG
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.images.cutout_table import read_cutout_table, read_unused_cutouts

log = logging.getLogger(__name__)

NO_PIXELS = "no pixels of any {}"  # cutout, or target pixel file
UNUSED_FILE = "its {} is not used"
NOT_IN_CATALOG = "a target pixel file is made for it, but it is not in the catalog"
TOO_FAINT = "fainter than todo.faint_limit"
EXCLUDED = "excluded by todo.exclude"
MANY_STARS = 20_000  # in the catalog of a CCD: not those of some cutouts only


def excluded_stars(
    known: pd.DataFrame, candidates: list[int], reasons: Mapping[int, str], ccd_id: CcdId
) -> pd.DataFrame:
    """Those of the stars that could be measured which are excluded; indexed as the catalog."""
    table = known[["tic_id", "tmag"]].reset_index(drop=True).loc[candidates]
    table = table[table["tic_id"].isin(list(reasons))]
    texts = [reasons[tic_id] for tic_id in table["tic_id"]]
    return table.assign(
        sector=ccd_id.sector,
        camera=ccd_id.camera,
        ccd=ccd_id.ccd,
        reason=[f"{EXCLUDED}: {text}" if text else EXCLUDED for text in texts],
    )


def stars_not_measured(
    known: pd.DataFrame,
    on_data: NDArray,
    is_wanted: NDArray,
    excluded: pd.DataFrame,
    cutouts: Path,
    ccd_id: CcdId,
) -> pd.DataFrame:
    """Find the stars that cutouts were made of, or that lie on the CCD, and get no light curve.

    Parameters
    ----------
    known : DataFrame
        The catalog.
    on_data, is_wanted : (n_stars,) bool arrays
        Stars that stand on a pixel with data; that are to be measured, bright enough for it.
    excluded : DataFrame
        From `excluded_stars`.
    cutouts : Path
        ``cutouts.ecsv``.
    ccd_id : CcdId
        With the cadence, if it has target pixel files.

    Returns
    -------
    DataFrame
        tic_id, tmag, row, column, reason, detail, brightest first, then the stars of target
        pixel files that are not in the catalog. Of a long list of stars (`MANY_STARS`) those
        fainter than the limit are left out where there are no pixels of them.
    """
    kind = "target pixel file" if ccd_id.has_stamps else "cutout"
    ra, dec = (known[name].to_numpy(dtype=float) for name in ("ra", "dec"))
    with np.errstate(invalid="ignore"):
        on_ccd = Window().contains(known["row"].to_numpy(), known["column"].to_numpy())
    reason = np.full(len(known), "", dtype=object)
    detail = np.full(len(known), "", dtype=object)
    reason[on_ccd & is_wanted & ~on_data] = NO_PIXELS.format(kind)
    reason[~is_wanted & (on_data if len(known) > MANY_STARS else on_ccd)] = TOO_FAINT
    used, tic_id = read_cutout_table(cutouts), known["tic_id"].to_numpy()
    for stamp in used:  # that was found to be bad only when its pixels were read
        lost = ~on_data & (tic_id == (stamp["tic_id"] or 0))  # 0 is nobody's number
        reason[lost] = UNUSED_FILE.format(kind)
        detail[lost] = f"{stamp['path'].name}: it has no data where the star is"
    for cutout in read_unused_cutouts(cutouts):
        east = ((ra - cutout["ra"] + 180) % 360 - 180) * np.cos(np.radians(dec))
        offset = np.hypot(east, dec - cutout["dec"])
        is_its = offset < 0.5 * cutout["size"] * PIXEL_SCALE_DEG
        is_its |= tic_id == (cutout["tic_id"] or 0)
        lost = ~on_data & is_its
        reason[lost] = UNUSED_FILE.format(kind)
        detail[lost] = f"{cutout['path'].name}: {cutout['reason']}"
    listed = reason != ""
    table = known.loc[listed, ["tic_id", "tmag", "row", "column"]]
    table = table.assign(reason=reason[listed], detail=detail[listed]).sort_values("tmag")
    table = pd.concat([table, _as_not_measured(known, excluded)]).sort_values("tmag")
    absent = _absent_targets(known, used)
    table = pd.concat([table, absent]) if len(absent) else table
    for text, count in table["reason"].value_counts().items():
        log.info("%d stars are not measured: %s", count, text)
    return table


def _absent_targets(known: pd.DataFrame, stamps: list[dict]) -> pd.DataFrame:
    """Stars of target pixel files that the catalog lacks, with the one that is nearest there."""
    in_catalog = set(known["tic_id"])
    rows = []
    for stamp in stamps:
        if not stamp["tic_id"] or stamp["tic_id"] in in_catalog:
            continue
        x, y = (float(one) for one in stamp["wcs"].all_world2pix(*stamp["target"], 0))
        row, column = y + stamp["window"].row0, x + stamp["window"].column0
        distance = np.hypot(known["row"] - row, known["column"] - column).to_numpy(dtype=float)
        detail = stamp["path"].name
        if np.isfinite(distance).any():
            nearest = int(np.nanargmin(distance))
            tic_id = known["tic_id"].iloc[nearest]
            detail += f": TIC {tic_id} is {distance[nearest]:.1f} pixels from there"
        about = {"tic_id": stamp["tic_id"], "tmag": np.nan, "row": row, "column": column}
        rows.append(about | {"reason": NOT_IN_CATALOG, "detail": detail})
    return pd.DataFrame(rows)


def _as_not_measured(known: pd.DataFrame, excluded: pd.DataFrame) -> pd.DataFrame:
    """Excluded stars as rows of ``not_measured.ecsv``."""
    table = known.iloc[excluded.index][["tic_id", "tmag", "row", "column"]]
    details = [text.removeprefix(EXCLUDED).removeprefix(": ") for text in excluded["reason"]]
    return table.assign(reason=EXCLUDED, detail=np.array(details, dtype=object))
