"""The stars of a CCD as they are believed to be: its catalog, set right by the average image."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.star_warnings import (
    ABSENT_LIGHT,
    LISTED_TWICE,
    OTHER_MAGNITUDE,
    OTHER_POSITION,
)
from tessphot_lib.io.products.star_checks_ecsv import read_list_check, read_unlisted
from tessphot_lib.io.products.transients_ecsv import no_transients, read_transients

REPORTED_MAGNITUDE = 1.0  # [mag] off the list, from which a star gets a warning
REPORTED_POSITION = 0.5  # [pixels]
SAME_SOURCE = 1.0  # [pixels] an unlisted source of the average image and a transient


@dataclass(frozen=True)
class StarChecks:
    """What the average image says of a catalog; see `io.products.star_checks_ecsv`.

    Attributes
    ----------
    checks, unlisted : DataFrame
    transients : DataFrame
        Transients, and stars in outburst, see `io.products.transients_ecsv`.
    """

    checks: pd.DataFrame
    unlisted: pd.DataFrame
    transients: pd.DataFrame = field(default_factory=no_transients)

    @classmethod
    def of(cls, files: CcdFiles) -> Self:
        """Read them; none of a CCD that has none."""
        return cls.read(files.list_check, files.unlisted, files.transients)

    @classmethod
    def read(
        cls, list_check: Path | None, unlisted: Path | None, transients: Path | None = None
    ) -> Self:
        """Read them from the files; a transient is no longer an unlisted source."""
        appeared, sources = read_transients(transients), read_unlisted(unlisted)
        for row, column in appeared[["row", "column"]].itertuples(index=False):
            off = np.hypot(sources["row"] - row, sources["column"] - column)
            sources = sources[off > SAME_SOURCE]
        return cls(read_list_check(list_check), sources.reset_index(drop=True), appeared)

    @property
    def as_stars(self) -> pd.DataFrame:
        """Transients as stars of a catalog, ``tmag`` being that of their maximum."""
        new = self.transients[self.transients["kind"] == "transient"]
        stars = new[["number", "ra", "dec", "row", "column", "peak_tmag"]]
        stars = stars.rename(columns={"number": "tic_id", "peak_tmag": "tmag"})
        return stars.assign(
            ra_j2000=stars["ra"], dec_j2000=stars["dec"], pm_ra=np.nan, pm_dec=np.nan, teff=np.nan
        )

    @property
    def outbursts(self) -> list[int]:
        """TIC numbers of stars in outburst."""
        return self.transients["number"][self.transients["kind"] == "outburst"].tolist()

    @property
    def same_as(self) -> dict[int, int]:
        """TIC number of the star that another entry of the list is, too, by that of the entry."""
        twins = self.checks[self.checks["same_as"] != 0]
        return dict(zip(twins["tic_id"].tolist(), twins["same_as"].tolist(), strict=True))

    def believed(self, known: pd.DataFrame) -> pd.DataFrame:
        """Set a catalog, or a part of it, right.

        Parameters
        ----------
        known : DataFrame
            tic_id, row, column, tmag, and others.

        Returns
        -------
        DataFrame
            The same stars in the same order with tmag, row and column as they are believed,
            and ``tmag_listed``; NaN positions for entries of a star that has another one.
            Then transients that are not among them, and the sources that the catalog lacks,
            with numbers below zero.
        """
        appeared = self.as_stars
        appeared = appeared[~appeared["tic_id"].isin(known["tic_id"])]
        if len(appeared):
            same = [name for name in appeared if name in known]
            known = pd.concat([known, appeared[same]], ignore_index=True)
        found = known.assign(tmag_listed=known["tmag"]).reset_index(drop=True)
        at = pd.Index(found["tic_id"]).get_indexer(self.checks["tic_id"])
        here = at >= 0
        for name in ("tmag", "row", "column"):
            values = found[name].to_numpy(dtype=float).copy()
            values[at[here]] = self.checks[name].to_numpy(dtype=float)[here]
            found[name] = values
        # What the average image has of a transient is not its maximum.
        mean = self.transients.drop_duplicates("number").set_index("number")["mean_tmag"]
        in_average = found["tic_id"].map(mean[mean.index.isin(self.as_stars["tic_id"])])
        found["tmag"] = in_average.fillna(found["tmag"])
        found.loc[found["tic_id"].isin(list(self.same_as)), ["row", "column"]] = np.nan
        if self.unlisted.empty:
            return found
        names = {"number": "tic_id", "ra": "ra", "dec": "dec"}
        names |= {name: name for name in ("row", "column", "tmag")}
        extra = self.unlisted[list(names)].rename(columns=names)
        return pd.concat(
            [found, extra[[name for name in extra if name in found]]], ignore_index=True
        )

    def warnings(self) -> dict[int, str]:
        """What is to be said of listed stars, by TIC number."""
        texts: dict[int, list[str]] = {}
        for star in self.checks.itertuples():
            findings, said = star.finding.split(), []
            if "absent" in findings:
                said.append(ABSENT_LIGHT)
            off = star.tmag - star.tmag_listed
            if "magnitude" in findings and abs(off) >= REPORTED_MAGNITUDE:
                said.append(
                    OTHER_MAGNITUDE.format(f"{abs(off):.1f}", "fainter" if off > 0 else "brighter")
                )
            if "position" in findings and star.offset >= REPORTED_POSITION:
                said.append(OTHER_POSITION.format(f"{star.offset:.1f}"))
            texts.setdefault(star.tic_id, []).extend(said)
        for other, tic_id in self.same_as.items():
            texts.setdefault(tic_id, []).append(LISTED_TWICE.format(other))
        return {tic_id: " ".join(said) for tic_id, said in texts.items() if said}
