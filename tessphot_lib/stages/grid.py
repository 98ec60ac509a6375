"""What the backgrounds of a CCD are of: the cells of a mesh, or the patches of cutouts."""

from pathlib import Path

from tessphot_lib.io.block_hdf5 import read_patches
from tessphot_lib.io.pixels_hdf5 import PixelCube
from tessphot_lib.mesh import Mesh
from tessphot_lib.model import Window
from tessphot_lib.patches import Patches


def block_grid(block: Path, window: Window, box_size: int) -> Mesh | Patches:
    """Find out from a block."""
    patches = read_patches(block)
    return Mesh.over(window, box_size) if patches is None else Patches.from_arrays(window, patches)


def cube_grid(cube: PixelCube) -> Mesh | Patches:
    """Find out from a pixel cube."""
    return cube.grid
