"""Where the camera points, and which pixel sees which piece of the sky.

The camera maps the sky with a radial distortion about its centre; a TAN-SIP
WCS is fitted to that for the CCD, and this WCS *is* the truth of the
simulation: sky positions of stars are computed with it from their pixels.

WCS pixels are those of the full image, 1-based, as in the FITS header:
x = column + 45, y = row + 1 for zero-based science pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import FIRST_SCIENCE_COLUMN
from tessphot_lib.core.geometry import CcdId

# (column, row) of the camera centre in 1-based pixels of the full image, by CCD.
CAMERA_CENTER = {1: (2150.0, 2098.0), 2: (-14.0, 2100.0), 3: (2150.0, 2098.0), 4: (-14.0, 2100.0)}
FOCAL_LENGTH = 9700.0  # [pixels]: 21.26 arcsec per pixel on the axis
CUBIC_DISTORTION = 0.15  # tan(angle) = r (1 + CUBIC_DISTORTION r^2), r in focal lengths
CRPIX = (1045.0, 1001.0)  # reference pixel of the WCS of a still image
SIP_ORDER = 4
OBLIQUITY = np.deg2rad(23.4392911)

# (power of u, power of v) of the terms of a distortion polynomial, second order and up.
SIP_TERMS = [(p, n - p) for n in range(2, SIP_ORDER + 1) for p in range(n, -1, -1)]
INVERSE_TERMS = [(1, 0), (0, 1), *SIP_TERMS]
SIP_SCALE = 1000.0  # [pixels] makes the powers of u and v of order one


@dataclass(frozen=True)
class Boresight:
    """Direction of a camera [deg, ICRS], and position angle of its +column axis."""

    ra: float
    dec: float
    roll: float


@dataclass(frozen=True)
class TanSip:
    """A gnomonic WCS with SIP distortion.

    Attributes
    ----------
    crpix, crval : (2,) arrays
        Reference pixel (x, y; 1-based, full image) and its ra, dec [deg].
    cd : (2, 2) array
        Degrees per pixel.
    a, b : (n_terms,) arrays
        Distortion in x and y of each of `SIP_TERMS` [pixels], u and v counted
        in units of `SIP_SCALE` pixels.
    """

    crpix: NDArray
    crval: NDArray
    cd: NDArray
    a: NDArray
    b: NDArray

    def to_sky(self, row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
        """Return ra, dec [deg] of zero-based science pixels."""
        u, v = self._offsets(row, column)
        terms = _powers(u, v, SIP_TERMS)
        plane = self.cd @ np.stack([u + terms @ self.a, v + terms @ self.b])
        vectors = from_tangent_plane(np.deg2rad(plane), *np.deg2rad(self.crval))
        return to_angles(vectors)

    def to_pixel(self, ra: NDArray, dec: NDArray) -> tuple[NDArray, NDArray]:
        """Return row, column (zero-based science pixels); `to_sky` inverted by iteration."""
        plane = np.rad2deg(to_tangent_plane(to_vectors(ra, dec), *np.deg2rad(self.crval)))
        goal = np.linalg.solve(self.cd, plane)
        u, v = goal
        for _ in range(25):
            terms = _powers(u, v, SIP_TERMS)
            u, v = goal[0] - terms @ self.a, goal[1] - terms @ self.b
        return v + self.crpix[1] - 1, u + self.crpix[0] - 1 - FIRST_SCIENCE_COLUMN

    def moved(self, matrix: NDArray, shift: NDArray) -> "TanSip":
        """Return the WCS after the stars moved, exactly.

        A star at offset q = (u, v) from `crpix` goes to q + matrix @ q + shift.
        The distortion polynomials stay polynomials of the same order; their
        coefficients are found from their values.
        """
        total = np.eye(2) + matrix
        u, v = (grid.ravel() for grid in np.meshgrid(*2 * [np.linspace(-1000, 1000, 7)]))
        old = np.linalg.solve(total, np.stack([u, v]))
        terms = _powers(*old, SIP_TERMS)
        distortion = total @ np.stack([terms @ self.a, terms @ self.b])
        solution = np.linalg.lstsq(_powers(u, v, SIP_TERMS), distortion.T, rcond=None)[0]
        return TanSip(self.crpix + shift, self.crval, self.cd @ np.linalg.inv(total), *solution.T)

    def inverse_terms(self) -> tuple[NDArray, NDArray]:
        """Return the coefficients of `INVERSE_TERMS`: the approximate inverse distortion."""
        u, v = (g.ravel() for g in np.meshgrid(*2 * [np.linspace(-1060, 1060, 15)]))
        terms = _powers(u, v, SIP_TERMS)
        du, dv = terms @ self.a, terms @ self.b
        inverse = _powers(u + du, v + dv, INVERSE_TERMS)
        return tuple(np.linalg.lstsq(inverse, -np.stack([du, dv]).T, rcond=None)[0].T)

    def distortion(self, row: NDArray, column: NDArray, values: NDArray) -> NDArray:
        """Return the distortion along the axis whose coefficients are ``values`` [pixels]."""
        return _powers(*self._offsets(row, column), SIP_TERMS) @ values

    def _offsets(self, row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
        x = np.asarray(column, dtype=float) + 1 + FIRST_SCIENCE_COLUMN
        return x - self.crpix[0], np.asarray(row, dtype=float) + 1 - self.crpix[1]


def boresight(ccd_id: CcdId) -> Boresight:
    """Return where a camera points: four in a strip from the ecliptic to its pole.

    Not the real pointings: sectors step 27.7 deg along the ecliptic, and the
    hemisphere changes every 13 sectors.
    """
    longitude = np.deg2rad(315.8 + 27.7 * (ccd_id.sector - 1))
    latitude = np.deg2rad(18.0 + 24.0 * (ccd_id.camera - 1))
    latitude *= -1 if ((ccd_id.sector - 1) // 13) % 2 == 0 else 1
    # Just off the pole, so that the direction of the strip is defined.
    latitude = np.clip(latitude, np.deg2rad(-89.9), np.deg2rad(89.9))
    direction = _ecliptic_to_icrs(_sphere(longitude, latitude))
    north = _ecliptic_to_icrs(
        [
            -np.sin(latitude) * np.cos(longitude),
            -np.sin(latitude) * np.sin(longitude),
            np.cos(latitude),
        ]
    )
    ra, dec = to_angles(direction[:, None])
    east_axis, north_axis = _tangent_axes(np.deg2rad(ra[0]), np.deg2rad(dec[0]))
    angle = np.rad2deg(np.arctan2(north @ east_axis, north @ north_axis))
    return Boresight(float(ra[0]), float(dec[0]), float(angle))


def camera_center(ccd: int) -> tuple[float, float]:
    """Return (row, column), zero-based science pixels, of the camera's axis."""
    x, y = CAMERA_CENTER[ccd]
    return y - 1, x - 1 - FIRST_SCIENCE_COLUMN


def reference_wcs(ccd_id: CcdId) -> TanSip:
    """Return the true WCS of an image in which nothing has moved."""
    u, v = (g.ravel() for g in np.meshgrid(*2 * [np.linspace(-1100, 1100, 23)]))
    pointing = boresight(ccd_id)
    crval = np.array(
        [a[0] for a in to_angles(_camera_to_sky(ccd_id.ccd, pointing, *CRPIX))], dtype=float
    )
    vectors = _camera_to_sky(ccd_id.ccd, pointing, u + CRPIX[0], v + CRPIX[1])
    plane = np.rad2deg(to_tangent_plane(vectors, *np.deg2rad(crval)))
    linear = _powers(u, v, [(1, 0), (0, 1), *SIP_TERMS])
    fitted = np.linalg.lstsq(linear, plane.T, rcond=None)[0]
    cd = fitted[:2].T / SIP_SCALE
    a, b = np.linalg.solve(cd, fitted[2:].T)
    return TanSip(np.array(CRPIX), crval, cd, a, b)


def to_vectors(ra: NDArray, dec: NDArray) -> NDArray:
    """Return unit vectors, (3, n), of directions [deg]."""
    return _sphere(np.deg2rad(ra), np.deg2rad(dec))


def to_angles(vectors: NDArray) -> tuple[NDArray, NDArray]:
    """Return ra (0 to 360) and dec [deg] of vectors (3, n) of any length."""
    x, y, z = vectors
    return np.rad2deg(np.arctan2(y, x)) % 360.0, np.rad2deg(np.arctan2(z, np.hypot(x, y)))


def to_tangent_plane(vectors: NDArray, ra: float, dec: float) -> NDArray:
    """Project unit vectors (3, n) on the plane that touches the sphere at ra, dec [rad]."""
    east, north = _tangent_axes(ra, dec)
    depth = _sphere(ra, dec) @ vectors
    return np.stack([east @ vectors, north @ vectors]) / depth


def from_tangent_plane(plane: NDArray, ra: float, dec: float) -> NDArray:
    """Invert `to_tangent_plane`; unit vectors, (3, n)."""
    east, north = _tangent_axes(ra, dec)
    vectors = _sphere(ra, dec)[:, None] + np.outer(east, plane[0]) + np.outer(north, plane[1])
    return vectors / np.sqrt((vectors**2).sum(axis=0))


def _camera_to_sky(ccd: int, pointing: Boresight, x: NDArray, y: NDArray) -> NDArray:
    """Unit vectors seen by pixels of the full image, through the camera's optics."""
    center_x, center_y = CAMERA_CENTER[ccd]
    sign = 1.0 if ccd in (1, 2) else -1.0  # CCDs 3 and 4 are mounted upside down
    focal = sign * np.stack(np.atleast_1d(x - center_x, y - center_y)) / FOCAL_LENGTH
    tangent = focal * (1 + CUBIC_DISTORTION * (focal**2).sum(axis=0))
    angle = np.deg2rad(pointing.roll)
    # Not mirrored, as on TESS: columns to rows turn as east to north.
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return from_tangent_plane(turn @ tangent, np.deg2rad(pointing.ra), np.deg2rad(pointing.dec))


def _powers(u: NDArray, v: NDArray, terms: list[tuple[int, int]]) -> NDArray:
    u, v = np.asarray(u) / SIP_SCALE, np.asarray(v) / SIP_SCALE
    return np.stack([u**p * v**q for p, q in terms], axis=-1)


def _sphere(longitude: NDArray, latitude: NDArray) -> NDArray:
    return np.array(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude) * np.ones_like(longitude),
        ]
    )


def _tangent_axes(ra: float, dec: float) -> tuple[NDArray, NDArray]:
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    return east, north


def _ecliptic_to_icrs(vector: NDArray) -> NDArray:
    x, y, z = vector
    c, s = np.cos(OBLIQUITY), np.sin(OBLIQUITY)
    return np.array([x, c * y - s * z, s * y + c * z])
