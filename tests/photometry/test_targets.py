"""Neighbors: all whose light may reach a pixel that is fitted together with a star."""

import yaml
from paths import PROJECT

from tessphot_lib.aperture.sizes import STAMP_HALF_COLUMNS, STAMP_HALF_ROWS
from tessphot_lib.core.patches import MAX_SIDE
from tessphot_lib.photometry.fit_groups import CELL, MARGIN
from tessphot_lib.photometry.targets import NEIGHBOR_MARGIN
from tessphot_lib.prf.evaluate import REACH

SCHEMA = PROJECT / "workflow" / "schemas" / "config.schema.yaml"


def test_neighbors_of_one_star_are_enough_to_fit_its_whole_region():
    """Else what is measured would depend on who else is.

    A star of a bright unknown neighborhood 160 pixels away, in a patch of 200 x 200 pixels,
    was off by 6 %, since the background of the patch is fitted with it.
    """
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    cutouts = schema["properties"]["input"]["properties"]["cutouts"]["properties"]
    largest_patch = MAX_SIDE + cutouts["size"]["maximum"]
    known = NEIGHBOR_MARGIN + min(*STAMP_HALF_ROWS, *STAMP_HALF_COLUMNS)
    # The star in one corner of what is fitted, light from beyond the other.
    assert known >= max(largest_patch, CELL) + MARGIN + REACH
