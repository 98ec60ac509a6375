"""Step: settings -> cutouts of a simulated sector, and the list of its stars; for ``demo``."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.simulation.cutout_file import CutoutMaker
from tessphot_lib.simulation.ffi_file import write_ffi
from tessphot_lib.simulation.render import Renderer
from tessphot_lib.simulation.scene import build_scene
from tessphot_lib.simulation.schedule import ffi_names
from tessphot_lib.simulation.truth_file import write_tic

log = logging.getLogger(__name__)


def run_simulate_cutouts(
    ccd_id: CcdId,
    folder: Path,
    stars: Path,
    *,
    window: Window,
    tic_ids: Sequence[int],
    size: int,
    settings: SimulationSettings,
    faint_limit: float,
) -> list[Path]:
    """Write a cutout around each of some stars of a simulated sector.

    Parameters
    ----------
    ccd_id : CcdId
    folder : Path
        For the cutouts.
    stars : Path
        List of the stars (CSV).
    window : Window
        The pixels that are simulated.
    tic_ids : sequence of int
        Of stars on it.
    size : int
        Rows and columns of a cutout [pixels], less where the window ends.
    settings : SimulationSettings
    faint_limit : float
        [Tmag] of the stars.

    Returns
    -------
    list of Path
        The cutouts, in the order of the stars.

    Raises
    ------
    InputDataError
        If a star is none of the CCD.
    ConfigError
        If the cutout of a star has no pixel in the window.
    """
    scene = build_scene(ccd_id, window=window, settings=settings, faint_limit=faint_limit)
    with complete_file(stars) as partial:
        write_tic(partial, scene)
    makers = []
    for tic_id in tic_ids:
        index = scene.star_index(tic_id)
        row, column = round(scene.stars.row[index]), round(scene.stars.column[index])
        around = Window(
            row - size // 2, row - size // 2 + size, column - size // 2, column - size // 2 + size
        )
        common = around.intersect(window)
        if common is None:
            raise ConfigError(
                f"TIC {tic_id}: at row {row}, column {column} it has no pixel in the simulated "
                f"window {window.as_list()}"
            )
        makers.append(CutoutMaker(ccd_id, common))
    folder.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(scene)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for number, name in enumerate(ffi_names(ccd_id, settings)):
            path = Path(scratch) / name
            write_ffi(path, scene, number, renderer.render(number))
            for maker in makers:
                maker.add(path)
            path.unlink()
    log.info("%s: %d cutouts of %d images", ccd_id, len(makers), scene.n_images)
    return [maker.write(folder) for maker in makers]
