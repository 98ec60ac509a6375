"""Step: settings -> target pixel files of a simulated CCD."""

import logging
from pathlib import Path

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.stamps import (
    build_stamp_scene,
    render_stamp,
    stamp_stars,
    stamp_window,
)
from tessphot_lib.simulation.tpf_file import tpf_name, write_tpf

log = logging.getLogger(__name__)


def run_simulate_tpfs(
    ccd_id: CcdId,
    output: Path,
    *,
    window: Window,
    settings: SimulationSettings,
    faint_limit: float,
) -> None:
    """Write the target pixel files of ``simulation.tpf_stars`` stars to a folder.

    Parameters
    ----------
    ccd_id : CcdId
        With the cadence.
    output : Path
        The folder.
    window, settings, faint_limit
        Of the full-frame images of the same sky.
    """
    scene = build_stamp_scene(ccd_id, window=window, settings=settings, faint_limit=faint_limit)
    output.mkdir(parents=True, exist_ok=True)
    for star in stamp_stars(scene, settings.tpf_stars).tolist():
        stamp = stamp_window(scene, star)
        name = tpf_name(scene, int(scene.stars.tic_id[star]))
        write_tpf(output / name, scene, star, stamp, render_stamp(scene, stamp))
        log.info("%s: Tmag %.2f, %s", name, scene.stars.tmag[star], stamp.as_list())
