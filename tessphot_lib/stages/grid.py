"""What the backgrounds of a CCD are of: the cells of a mesh, or the patches of cutouts."""

from dataclasses import replace
from pathlib import Path

from numpy.typing import NDArray

from tessphot_lib.io.block_hdf5 import read_patches
from tessphot_lib.io.pixels_hdf5 import PixelCube
from tessphot_lib.mesh import Mesh
from tessphot_lib.model import Window
from tessphot_lib.patches import Patches


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
