"""Stars that get no light curve, and why: excluded, too faint, or without pixels."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.constants import PIXEL_SCALE_DEG
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.images.cutout_table import read_unused_cutouts

log = logging.getLogger(__name__)

NO_PIXELS = "no pixels of any cutout"
UNUSED_CUTOUT = "its cutout is not used"
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
    excluded: pd.DataFrame,
    faint_limit: float,
    cutouts: Path,
) -> pd.DataFrame:
    """Find the stars that cutouts were made of, or that lie on the CCD, and get no light curve.

    Parameters
    ----------
    known : DataFrame
        The catalog.
    on_data : (n_stars,) bool array
        Stars that stand on a pixel with data.
    excluded : DataFrame
        From `excluded_stars`.
    faint_limit : float
        [Tmag] of the stars to measure.
    cutouts : Path
        ``cutouts.ecsv``.

    Returns
    -------
    DataFrame
        tic_id, tmag, row, column, reason, detail, brightest first. Of a long list
        of stars (`MANY_STARS`) those fainter than the limit are left out where
        there are no pixels of them.
    """
    ra, dec = (known[name].to_numpy(dtype=float) for name in ("ra", "dec"))
    is_bright = known["tmag"].to_numpy(dtype=float) <= faint_limit
    with np.errstate(invalid="ignore"):
        on_ccd = Window().contains(known["row"].to_numpy(), known["column"].to_numpy())
    reason = np.full(len(known), "", dtype=object)
    detail = np.full(len(known), "", dtype=object)
    reason[on_ccd & is_bright & ~on_data] = NO_PIXELS
    reason[~is_bright & (on_data if len(known) > MANY_STARS else on_ccd)] = TOO_FAINT
    for cutout in read_unused_cutouts(cutouts):
        east = ((ra - cutout["ra"] + 180) % 360 - 180) * np.cos(np.radians(dec))
        offset = np.hypot(east, dec - cutout["dec"])
        lost = ~on_data & (offset < 0.5 * cutout["size"] * PIXEL_SCALE_DEG)
        reason[lost] = UNUSED_CUTOUT
        detail[lost] = f"{cutout['path'].name}: {cutout['reason']}"
    listed = reason != ""
    table = known.loc[listed, ["tic_id", "tmag", "row", "column"]]
    table = table.assign(reason=reason[listed], detail=detail[listed]).sort_values("tmag")
    table = pd.concat([table, _as_not_measured(known, excluded)]).sort_values("tmag")
    for text, count in table["reason"].value_counts().items():
        log.info("%d stars are not measured: %s", count, text)
    return table


def _as_not_measured(known: pd.DataFrame, excluded: pd.DataFrame) -> pd.DataFrame:
    """Excluded stars as rows of ``not_measured.ecsv``."""
    table = known.iloc[excluded.index][["tic_id", "tmag", "row", "column"]]
    details = [text.removeprefix(EXCLUDED).removeprefix(": ") for text in excluded["reason"]]
    return table.assign(reason=EXCLUDED, detail=np.array(details, dtype=object))
