"""The fixed grid of cells: no gap and no overlap, at the poles and at RA = 0 too."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from tessphot_lib.catalog.sky_grid import SkyCell, all_cells, cells_at
from tessphot_lib.core.sphere import separation


def anywhere(count, seed=0):
    """Directions all over the sphere, and special ones."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    special = [(0, 90), (123, 90), (0, -90), (359.9999999999, -90), (0, 0), (360, 10)]
    special += [(359.9999999999999, 0), (180, 89.9999), (0, -2), (0, 2), (90, -88), (45, 88)]
    return np.append(ra, np.array(special)[:, 0]), np.append(dec, np.array(special)[:, 1])


def test_every_direction_lies_in_one_cell():
    ra, dec = anywhere(2000)
    cells = all_cells()
    count = sum(cell.contains(ra, dec).astype(int) for cell in cells)
    assert (count == 1).all()
    assert 10_000 < len(cells) < 12_000
    area = sum(
        np.radians(cell.ra_high - cell.ra_low)
        * (np.sin(np.radians(cell.dec_high)) - np.sin(np.radians(cell.dec_low)))
        for cell in cells
    )
    assert area == pytest.approx(4 * np.pi, rel=1e-12)


def test_cells_at_directions_hold_them():
    ra, dec = anywhere(500)
    for one_ra, one_dec in zip(ra, dec, strict=True):
        (cell,) = cells_at(np.array([one_ra]), np.array([one_dec]))
        assert cell.contains(one_ra, one_dec)
    cells = cells_at(ra, dec)
    assert cells == sorted(set(cells))
    assert np.any([cell.contains(ra, dec) for cell in cells], axis=0).all()


def test_cone_holds_its_cell_and_is_not_much_larger():
    ra, dec = anywhere(300)
    rng = np.random.default_rng(1)
    for cell in cells_at(ra, dec):
        centre_ra, centre_dec, radius = cell.cone()
        inside_ra = rng.uniform(cell.ra_low, cell.ra_high, 200)
        inside_dec = rng.uniform(cell.dec_low, cell.dec_high, 200)
        distance = separation(centre_ra, centre_dec, inside_ra, inside_dec)
        assert distance.max() < radius < 1.6


def test_quarters_share_a_cell_out():
    ra, dec = anywhere(30)
    rng = np.random.default_rng(2)
    for cell in cells_at(ra, dec):
        quarters = cell.quarters()
        inside_ra = np.append(rng.uniform(cell.ra_low, cell.ra_high, 200), cell.ra_low)
        inside_dec = np.append(rng.uniform(cell.dec_low, cell.dec_high, 200), cell.dec_low)
        count = sum(part.contains(inside_ra, inside_dec).astype(int) for part in quarters)
        assert (count == 1).all()
        for part in quarters:
            assert part.cone()[2] < 0.8 * cell.cone()[2]


def test_pole_belongs_to_a_cell_in_every_direction():
    cap = SkyCell(88.0, 90.0, 0.0, 60.0)
    assert cap.contains(np.array([10.0, 59.0]), np.array([90.0, 90.0])).all()
    assert not cap.contains(np.array([60.0]), np.array([90.0])).any()


@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0, 90.0, 179.999])
def test_separation_is_astropys(size):
    rng = np.random.default_rng(3)
    ra, dec = anywhere(200, seed=4)
    first = SkyCoord(ra, dec, unit="deg")
    angle = rng.uniform(0, 360, len(ra))
    second = first.directional_offset_by(angle * first.ra.unit, size * first.ra.unit)
    found = separation(ra, dec, second.ra.deg, second.dec.deg)
    np.testing.assert_allclose(found, first.separation(second).deg, rtol=1e-6, atol=1e-13)
