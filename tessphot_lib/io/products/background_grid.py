"""What the backgrounds of a CCD are of: the cells of a mesh, or the patches of cutouts."""

from dataclasses import replace
from pathlib import Path

from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.patches import Patches
from tessphot_lib.io.products.block_hdf5 import read_patches
from tessphot_lib.io.products.pixels_hdf5 import PixelCube


def block_grid(
    block: Path, window: Window, box_size: int, straps: NDArray | None = None
) -> Mesh | Patches:
    """Find out from a block; ``straps`` are those of a mesh."""
    patches = read_patches(block)
    if patches is None:
        return replace(Mesh.over(window, box_size), straps=straps)
    return Patches.from_arrays(window, patches)


def cube_grid(cube: PixelCube) -> Mesh | Patches:
    """Find out from a pixel cube."""
    return cube.grid
