"""``tessphot demo``: a simulated star with a planet, measured at once and without the network."""

import argparse
import sys
from pathlib import Path
from typing import Any

from tessphot_lib.core.config_files import default_config
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.core.targets import Target
from tessphot_lib.get.command import LocalSources, measure_target
from tessphot_lib.get.folder import CutoutFolder, StarTable
from tessphot_lib.steps.simulate_cutouts import run_simulate_cutouts

CCD = CcdId(14, 3, 4)
WINDOW = Window(1000, 1064, 1000, 1064)
STAR = 14_349_000_002  # its transits are 1 % deep
SIZE = 15
IMAGES = 192  # four days
SETTINGS = SimulationSettings(
    n_images=IMAGES, showcase=True, reflection_level=0, gap_after=110, gap_days=0.3
)
NEXT = """
This is simulated. For real stars, with the network:
  tessphot get 261136679
The picture: {picture}
In Python (docs/example.ipynb):
  import tessphot_lib
  run = tessphot_lib.Run("{folder}")
"""


def add_demo(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    demo = commands.add_parser(
        "demo",
        help="simulate cutouts of a star with a planet, and measure it (seconds)",
        description="Simulate cutouts of a star with a planet, and measure it as `tessphot get` "
        "does; no network and no data are needed.",
    )
    demo.set_defaults(run=run_demo)
    demo.add_argument(
        "--output", type=Path, default=Path("tessphot-demo"), help="folder (default: tessphot-demo)"
    )


def run_demo(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    folder: Path = options.output
    cutouts, stars = folder / "cutouts", folder / "stars.csv"
    made = list(cutouts.glob("tess-*.fits")) if stars.is_file() else []
    if not made:
        sys.stdout.write(f"simulating {IMAGES} images of a star with a planet\n")
        sys.stdout.flush()
        run_simulate_cutouts(
            CCD,
            cutouts,
            stars,
            window=WINDOW,
            tic_ids=[STAR],
            size=SIZE,
            settings=SETTINGS,
            faint_limit=17.0,
        )
    sources = LocalSources(CutoutFolder(cutouts), StarTable(stars))
    target = Target(tic_id=STAR)
    failure = measure_target(target, sources, folder, default_config(), None)
    if failure:
        sys.stderr.write(f"tessphot: {failure}\n")
        return 1
    picture = folder / target.label / f"tic{STAR}_joined.png"
    sys.stdout.write(NEXT.format(picture=picture, folder=folder / target.label))
    return 0
