"""What the backgrounds of a CCD are of: the cells of a mesh, or the patches of cutouts."""

from pathlib import Path

from numpy.typing import NDArray

from tessphot_lib.background import Mesh
from tessphot_lib.io.block_hdf5 import read_patches
from tessphot_lib.io.pixels_hdf5 import PixelCube
from tessphot_lib.model import Window
from tessphot_lib.patches import Patches


def block_grid(block: Path, window: Window, box_size: int) -> Mesh | Patches:
    """Find out from a block."""
    patches = read_patches(block)
    if patches is None:
        return Mesh.over(window, box_size)
    return _patches(window, patches)


def cube_grid(cube: PixelCube) -> Mesh | Patches:
    """Find out from a pixel cube."""
    if cube.patches is None:
        return Mesh(cube.window, *cube.mesh_edges)
    return _patches(cube.window, cube.patches)


def _patches(window: Window, arrays: dict[str, NDArray]) -> Patches:
    """Patches from their arrays."""
    windows = [Window(*map(int, one)) for one in arrays["windows"]]
    return Patches(window, windows, arrays["index"], arrays["straps"])
