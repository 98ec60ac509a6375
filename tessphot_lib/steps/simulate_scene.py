"""Step: settings -> the stars of a simulated CCD."""

import logging
from pathlib import Path

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.scene import build_scene
from tessphot_lib.simulation.truth_file import write_tic, write_truth

log = logging.getLogger(__name__)


def run_simulate_scene(
    ccd_id: CcdId,
    tic: Path,
    truth: Path,
    *,
    window: Window,
    settings: SimulationSettings,
    faint_limit: float,
) -> None:
    """Write the catalog and the truth of a simulated CCD.

    ``faint_limit`` [Tmag] is where the catalog ends.
    """
    scene = build_scene(
        ccd_id,
        window=window,
        settings=settings,
        faint_limit=faint_limit,
    )
    write_tic(tic, scene)
    write_truth(truth, scene)
    log.info(
        "%s: %d stars, %d of them in the catalog, %d images",
        ccd_id, len(scene.stars), scene.stars.known.sum(), scene.n_images,
    )  # fmt: skip
