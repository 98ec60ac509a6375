"""What the backgrounds of a block are of: the cells of a mesh, or the patches of cutouts."""

from dataclasses import replace
from pathlib import Path

from numpy.typing import NDArray

from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.patches import Patches
from tessphot_lib.io.products.block_hdf5 import read_patches


def block_grid(
    block: Path, window: Window, box_size: int, straps: NDArray | None = None
) -> BackgroundGrid:
    """Read it from a block; ``box_size`` and ``straps`` are those of a mesh."""
    patches = read_patches(block)
    if patches is None:
        return replace(Mesh.over(window, box_size), straps=straps)
    return Patches.from_arrays(window, patches)
