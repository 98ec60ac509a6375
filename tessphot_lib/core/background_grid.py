"""What the backgrounds of a CCD are of: the cells of a mesh, or the patches of cutouts.

Which of the two, nobody needs to ask: both answer the same questions. Only
where files are written and read are they told apart, by ``kind``.
"""

from typing import Protocol, Self

from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window


class BackgroundGrid(Protocol):
    """What `tessphot_lib.core.mesh.Mesh` and `tessphot_lib.core.patches.Patches` have in common.

    The models of the images of a CCD are one array, (n_images, ...): nodes of
    the cells of a mesh, or coefficients of the polynomials of patches. Errors
    are (n_images, ...), one for each cell or patch.

    Attributes
    ----------
    kind : {'mesh', 'patches'}
        Name of the group that files keep `arrays` in.
    """

    kind: str

    @property
    def window(self) -> Window:
        """Smallest window that holds all pixels."""
        ...

    @property
    def windows(self) -> list[Window]:
        """Smallest window around each part.

        The pixels of a part hang together and have one background. A mesh is
        one part, and so is each patch.
        """
        ...

    @property
    def is_continuous(self) -> bool:
        """Whether one background spans the whole window.

        If not, there may be nothing between the parts, and a part may be too small
        to show much sky.
        """
        ...

    def evaluate(self, model: NDArray, region: Window) -> NDArray:
        """Evaluate models in a region inside the window.

        Returns
        -------
        (n_images, n_rows, n_columns) float64 array
            [e-/s per pixel]; NaN outside of the parts, and where the model is.
        """
        ...

    def evaluate_pixels(self, model: NDArray, region: Window, used: NDArray) -> NDArray:
        """As `evaluate`, but some pixels only, by their flat indices (n,) in the region.

        Returns
        -------
        (n, n_images) float64 array
            The images of each pixel beside each other.
        """
        ...

    def displaced(self, whole: tuple[int, int]) -> Self:
        """Return it for images that are read from ``whole`` rows and columns away."""
        ...

    def without_static(self) -> Self:
        """Return it without what all images have: evaluates differences of models."""
        ...

    def evaluate_at(self, model: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Evaluate models at positions (n,) [science pixels], (n_images, n) float64."""
        ...

    def error_at(self, error: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Errors of the backgrounds at positions (n,), (n_images, n) float64 [e-/s per pixel]."""
        ...

    def part_at(self, row: NDArray, column: NDArray) -> NDArray:
        """Number of the part at positions (n,), -1 for none or NaN; (n,) int."""
        ...

    def cells_at(self, row: NDArray, column: NDArray, side: int) -> list[tuple[Window, NDArray]]:
        """Divide positions by the cells that they are in.

        Cells do not depend on the positions. Those of a mesh are squares of
        ``side`` pixels, aligned with the CCD, and what is beyond the window counts to
        the nearest; patches are cells themselves, and what is off them is left out.

        Parameters
        ----------
        row, column : (n,) arrays
        side : int
            [pixels]

        Returns
        -------
        list of (Window, int array)
            Cells that hold any, each with the indices of the positions.
        """
        ...

    def read_together(self, region: Window | None) -> list[Window]:
        """Windows whose pixels are read at once: a region, or the parts it may be about."""
        ...

    def levels(self, model: NDArray) -> NDArray:
        """Levels that models are about, (n_images, ...): of the cells, or of the patches."""
        ...

    def raised(self, model: NDArray, levels: NDArray) -> NDArray:
        """Models with constants (n_parts,) [e-/s per pixel] added to the parts, in all images."""
        ...

    def groups_of_images(self, model: NDArray) -> list[slice | NDArray]:
        """Indices into the second axis of models of what has backgrounds in the same images."""
        ...

    def parts_in(self, region: Window) -> slice | NDArray:
        """Indices into the second axis of models of what `evaluate` needs in a region."""
        ...

    def arrays(self) -> dict[str, NDArray]:
        """All that is needed to build it again, by the names that files keep it under."""
        ...
