"""Step: blocks and motion of a CCD -> its average image, and what changed against it."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.background.average import average_image
from tessphot_lib.background.mesh_fit import SkySampler
from tessphot_lib.background.starlight import starlight_offset
from tessphot_lib.background.static_light import static_light, static_light_error
from tessphot_lib.background.straps import fit_straps
from tessphot_lib.catalog.sky_mask import sky_mask
from tessphot_lib.core.affine import against_mean
from tessphot_lib.core.catalog_shift import CatalogShift
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import OWN_BAD_CADENCE, CadenceFlag, describe
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.mesh import Mesh, interpolation_matrix
from tessphot_lib.core.patches import Patches
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.io.products.average_fits import write_average_image
from tessphot_lib.io.products.background_grid import block_grid
from tessphot_lib.io.products.block_hdf5 import read_all_images, read_identity, read_sums
from tessphot_lib.io.products.foreign_light_hdf5 import NEW_STAR_COLUMNS, write_foreign_light
from tessphot_lib.io.products.jitter_ecsv import read_jitter
from tessphot_lib.io.stars.catalog_sqlite import read_catalog, read_catalog_settings
from tessphot_lib.preparation.averaged import (
    averaged_images,
    light_of_images,
    removed_images,
)
from tessphot_lib.preparation.catalog_check import check_catalog
from tessphot_lib.preparation.changes import (
    Changes,
    Images,
    average_images,
    find_changes,
    is_quiet,
    median_sky,
    reference_image,
    reference_images,
)
from tessphot_lib.preparation.displaced_changes import find_all_changes
from tessphot_lib.prf.fit import FieldFit, fit_field
from tessphot_lib.prf.stars import StarField, choose_prf_stars

BRIGHT_LIMIT, FAINT_LIMIT = 7.5, 12.5  # [Tmag] of the stars that show how far light reaches
TABLE = (
    *("quality", "is_averaged", "background", "background_error", "background_level"),
    "column_excess",
)

log = logging.getLogger(__name__)


@dataclass
class _Average:
    """The average image, and what belongs to its backgrounds; arrays are empty for none."""

    image: NDArray
    count: NDArray
    is_averaged: NDArray
    offset: NDArray
    straps: NDArray
    static: NDArray
    changes: Changes | None = None
    shift: CatalogShift = field(default_factory=CatalogShift)


def run_average_image(
    blocks: list[Path],
    catalog: Path,
    jitter: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    foreign_light: Path,
    settings: PrepareSettings,
) -> None:
    """Average the good images of a CCD, and compare all images with their median.

    Of ``settings`` ``bad_quality`` and the sections ``background`` and ``average`` are used.

    Parameters
    ----------
    blocks : list of Path
        In time order.
    catalog, jitter : Path
    output : Path
        ``average_image.fits``
    foreign_light : Path
        Written, too: ``foreign_light.hdf5``; without any where there are only cutouts.

    Raises
    ------
    InputDataError
        If none of the images is good.
    """
    identities = [read_identity(block) for block in blocks]
    window = identities[0]["window"]
    grid = block_grid(blocks[0], window, settings.background.box_size)
    table = read_all_images(blocks, TABLE)
    found, pointing = read_jitter(jitter)
    quality = found["quality"]
    if len(quality) != len(table["is_averaged"]):
        raise InputDataError(f"{jitter}: its images are not those of the blocks")
    lengths = [int(one["n_images"]) for one in identities]
    if isinstance(grid, Mesh):
        made = _of_images(
            *(blocks, lengths, table, grid, catalog), found, pointing, settings, ccd_id
        )
    else:
        is_averaged = averaged_images(table["is_averaged"], quality)
        if not is_averaged.any():
            is_dark = table["background_level"] < settings.average.max_background
            raise _none_averaged(ccd_id, table["quality"], settings.bad_quality, is_dark)
        is_good = table["quality"] & settings.bad_quality == 0
        removed = removed_images(is_good, is_averaged, quality)
        models, limit = table["background"], settings.average.max_background
        image, count = average_image(_sums(blocks, removed, models, grid, limit))
        made = _Average(image, count, is_averaged, *[np.zeros(0)] * 3)
    log.info("%s: averaged %d of %d images", ccd_id, made.is_averaged.sum(), made.is_averaged.size)
    attributes = provenance(settings.as_mapping(), [*blocks, catalog, jitter])
    _write_changes(foreign_light, made.changes, attributes)
    write_average_image(
        output,
        made.image,
        made.count,
        window,
        ccd_id,
        wcs=str(read_catalog_settings(catalog)["wcs"]),
        is_averaged=made.is_averaged,
        offset=made.offset,
        straps=made.straps,
        static_light=made.static,
        catalog_shift=made.shift.to_array(),
        attributes=attributes,
    )


def _sums(
    blocks: list[Path],
    removed: NDArray,
    backgrounds: NDArray,
    grid: Patches,
    max_background: float,
) -> Iterator[tuple[NDArray, NDArray]]:
    """Sums of the blocks and their counts, without the images that are removed."""
    first = 0
    for block in blocks:
        flux_sum, flux_count = read_sums(block)
        last = first + int(read_identity(block)["n_images"])
        out = np.flatnonzero(removed[first:last])
        if out.size:
            models = backgrounds[first:last][out]
            less = light_of_images(block, out, models, grid, max_background=max_background)
            flux_sum, flux_count = flux_sum - less[0], flux_count - less[1]
        yield flux_sum, flux_count
        first = last


def _none_averaged(
    ccd_id: CcdId, quality: NDArray, bad_quality: int, is_dark: NDArray
) -> InputDataError:
    """Say that there is no image to average, and what is wrong with how many.

    ``quality`` are the flags of the single images, ``is_dark`` where their sky is known and dark
    enough: an image without any of this was not taken because its stars are elsewhere. What the
    comparison of the images flags is no reason: without others such images are averaged.
    """
    bad = bad_quality | int(OWN_BAD_CADENCE)
    reasons = {
        text: int(np.count_nonzero(quality & bit))
        for bit, text in describe(CadenceFlag).items()
        if bit & bad
    }
    unflagged = quality & bad == 0
    reasons["brighter than prepare.average.max_background"] = int((unflagged & ~is_dark).sum())
    reasons["stars displaced against the other images"] = int((unflagged & is_dark).sum())
    texts = [f"{text}: {n}" for text, n in reasons.items() if n]
    return InputDataError(
        f"{ccd_id}: none of its {counted(quality.size, 'image')} can be averaged "
        f"({', '.join(texts)})"
    )


def _of_images(
    blocks: list[Path],
    lengths: list[int],
    table: dict[str, NDArray],
    mesh: Mesh,
    catalog: Path,
    found: dict[str, NDArray],
    pointing: Pointing,
    settings: PrepareSettings,
    ccd_id: CcdId,
) -> _Average:
    """Average full-frame images; ``found`` is the table of their motion."""
    level = table["background_level"]
    quiet = is_quiet(level, settings.average.max_background)
    is_good = averaged_images(table["is_averaged"].astype(bool) & quiet, found["quality"])
    is_averaged = is_good & pointing.is_usual
    if not is_averaged.any():
        raise _none_averaged(ccd_id, table["quality"], settings.bad_quality, quiet)
    straps = _straps(table["column_excess"], table["background"], mesh, pointing)
    chosen = reference_images(is_averaged, level)
    moved = pointing.without_whole(found["motion"])
    motion = against_mean(moved, chosen)
    strapped = replace(mesh, straps=straps if straps.any() else None)
    images = Images(blocks, lengths, strapped, table["background"], motion, pointing)
    reference = reference_image(images, chosen).astype(float)
    error = np.median(table["background_error"][is_averaged], axis=0)
    limit = settings.background.reflection_limit
    first = find_changes(images, reference, reference, limit=limit, chosen=chosen)
    better = reference_image(images, chosen, first)
    reference = np.where(np.isfinite(better), better, reference)
    shift = _catalog_shift(reference, mesh.window, catalog, moved, chosen)
    stars = _stars(catalog, shift)
    scale = settings.background.mask_radius_scale
    static, light = _between_stars(reference, mesh.window, stars, scale)
    sampler = SkySampler.from_mask(mesh, sky_mask(mesh.window, *stars, radius_scale=scale))
    offset = starlight_offset(reference - static, light, sampler, error)
    above = strapped.evaluate(offset, mesh.window)
    static = static_light(reference + above, light)
    log.info(
        "%s: backgrounds are lowered by %.2f e-/s/pixel; %.1f %% of the pixels have extended light",
        ccd_id,
        np.median(offset),
        100 * np.mean(static != 0),
    )
    changes = find_all_changes(
        *(images, reference, reference + above - static),
        limit=limit,
        usual_sky=median_sky(images, chosen, first),
        is_good=is_good,
        level=level,
    )
    image, count = average_images(images, is_averaged, changes)
    # What was foreign in all of them changes little: their median stands for it, with count 0.
    image = np.where(count > 0, image, reference)
    has_static = bool(static.any())
    return _Average(
        image=image + above - static,
        count=count,
        is_averaged=is_averaged,
        offset=offset,
        straps=straps,
        static=static if has_static else np.zeros(0),
        changes=changes,
        shift=shift,
    )


def _catalog_shift(
    image: NDArray, window: Window, catalog: Path, motion: NDArray, chosen: NDArray
) -> CatalogShift:
    """By what the catalog is off the stars of the median of some images."""
    stars, about = read_catalog(catalog, ("row", "column", "tmag"))
    of_image = motion[chosen][np.isfinite(motion[chosen]).all(axis=1)]
    return check_catalog(
        image,
        window,
        stars,
        catalog=catalog,
        reference=str(about["reference_image"]),
        mean_motion=of_image.mean(axis=0) if len(of_image) else None,
    )


def _stars(catalog: Path, shift: CatalogShift) -> tuple[NDArray, NDArray, NDArray]:
    """Row, column and magnitude of the stars of the catalog, set right, (n,) each."""
    stars, _ = read_catalog(catalog, ("row", "column", "tmag"))
    row, column, tmag = (stars[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
    return *shift.places(row, column), tmag


def _between_stars(
    image: NDArray, window: Window, stars: tuple[NDArray, NDArray, NDArray], scale: float
) -> tuple[NDArray, NDArray]:
    """Extended light of an image, and that of the stars of the catalog [e-/s].

    Extended light is in the way of the stars whose PRF is fitted: it is taken off as well as
    the generic PRF shows it.
    """
    field = StarField.of_image(image, window, *stars, mask_radius_scale=scale)
    fit = fit_field(field, np.zeros(0, dtype=int))
    static = static_light(image, fit.scene)
    if not static.any():
        return static, _fit_stars(field, fit, n_passes=2).scene
    for again in (True, False):
        field = StarField.of_image(image - static, window, *stars, mask_radius_scale=scale)
        fit = _fit_stars(field.on_light_known_to(static_light_error(static)), fit, n_passes=1)
        if again:  # without the stars as they are now known it shows better, and so do they
            static = static_light(image, fit.scene)
    return static, fit.scene


def _fit_stars(field: StarField, start: FieldFit, *, n_passes: int) -> FieldFit:
    """Fit the PRF that the stars of a field show, see `fit_field`."""
    chosen = choose_prf_stars(field, bright_limit=BRIGHT_LIMIT, faint_limit=FAINT_LIMIT)
    fitted = fit_field(field, chosen, start=start, n_passes=n_passes)
    log.info(
        "PRF for the light of stars between stars: %s, zero point %.3f, sky %.2f",
        fitted.prf.source,
        fitted.prf.zeropoint,
        fitted.sky,
    )
    return fitted


def _write_changes(path: Path, changes: Changes | None, attributes: dict[str, str]) -> None:
    """Write what changed; empty without."""
    stars = np.array(changes.new_stars if changes else [], dtype=float).reshape(-1, 4).T
    named = dict(zip(NEW_STAR_COLUMNS, stars, strict=True))
    none = np.zeros(0)
    write_foreign_light(
        path,
        changes.packed if changes else none,
        changes.sky if changes else none,
        changes.error if changes else none,
        named,
        attributes,
    )


def _straps(excess: NDArray, backgrounds: NDArray, mesh: Mesh, pointing: Pointing) -> NDArray:
    """Response of the columns, (n_columns,); see `fit_straps`."""
    window = mesh.window
    rows = interpolation_matrix(mesh.row_edges, np.arange(window.row0, window.row1)).mean(axis=0)
    columns = interpolation_matrix(mesh.column_edges, np.arange(window.column0, window.column1))
    light = (rows @ backgrounds) @ columns.T
    _, number = np.unique(pointing.displacement, axis=0, return_inverse=True)
    straps = fit_straps(excess, light, number.ravel())
    seen = np.count_nonzero(np.abs(straps) > 1e-3)
    log.info("%d columns see over 0.1 %% more or less of the background", seen)
    return straps
