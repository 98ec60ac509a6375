"""Step: settings -> images of a simulated sector."""

import logging
from collections.abc import Sequence
from pathlib import Path

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.ffi_file import write_ffi
from tessphot_lib.simulation.render import Renderer
from tessphot_lib.simulation.scene import build_scene
from tessphot_lib.simulation.schedule import cadence_index

log = logging.getLogger(__name__)


def run_simulate(
    ccd_id: CcdId,
    images: Sequence[Path],
    *,
    window: Window,
    settings: SimulationSettings,
    faint_limit: float,
) -> None:
    """Write simulated full-frame images; which ones, their names say.

    An image depends on the settings, the CCD and its name alone.
    """
    indices = [cadence_index(path.name, ccd_id, settings) for path in images]
    scene = build_scene(ccd_id, window=window, settings=settings, faint_limit=faint_limit)
    renderer = Renderer(scene)
    for path, index in zip(images, indices, strict=True):
        write_ffi(path, scene, index, renderer.render(index))
        log.info("%s: %s", path.name, scene.kind(index))
