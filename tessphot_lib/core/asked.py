"""The CCDs that a configuration asks for, by sector, camera and CCD."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tessphot_lib.core.geometry import CcdId

ALL_SECTORS = "all"


@dataclass(frozen=True)
class AskedCcds:
    """CCDs of some sectors, or of all that there are.

    Attributes
    ----------
    sectors : tuple of int or None
        None: all.
    cameras, ccds : tuple of int
    """

    sectors: tuple[int, ...] | None
    cameras: tuple[int, ...]
    ccds: tuple[int, ...]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build from the keys ``sectors``, ``cameras`` and ``ccds``."""
        sectors = config["sectors"]
        return cls(
            None if sectors == ALL_SECTORS else tuple(sectors),
            tuple(config["cameras"]),
            tuple(config["ccds"]),
        )

    def __contains__(self, ccd_id: CcdId) -> bool:
        """Whether a CCD is asked for, in images or target pixel files."""
        in_time = self.sectors is None or ccd_id.sector in self.sectors
        return in_time and ccd_id.camera in self.cameras and ccd_id.ccd in self.ccds

    def by_name(self) -> list[CcdId]:
        """Return them in the order of the configuration; none where all sectors are asked for."""
        return [
            CcdId(sector, camera, ccd)
            for sector in self.sectors or ()
            for camera in self.cameras
            for ccd in self.ccds
        ]

    def among(self, found: Iterable[CcdId]) -> list[CcdId]:
        """Return those of some CCDs that are asked for, in order."""
        return sorted(ccd_id for ccd_id in found if ccd_id in self)
