"""Step: average image and catalog of a CCD -> todo list with the aperture of each star."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.catalog.cbv_area import cbv_area
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.constants import SATURATION_TMAG
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.identifiers import TRANSIENT, is_kind
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import PhotometrySettings, TodoSettings
from tessphot_lib.core.tiles import tile_of
from tessphot_lib.io.images.cutout_table import read_cutout_table
from tessphot_lib.io.products.not_measured_ecsv import write_not_measured
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.products.todo_sqlite import create_todo, with_priority
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.io.stars.star_lists import in_sector, read_excluded, read_methods
from tessphot_lib.photometry.average_positions import average_places
from tessphot_lib.photometry.believed_stars import StarChecks
from tessphot_lib.photometry.ccd_apertures import ccd_apertures
from tessphot_lib.photometry.choice import as_listed, is_left_out, suitable_methods
from tessphot_lib.report.not_measured import excluded_stars, stars_not_measured

log = logging.getLogger(__name__)

FORCED = "linpsf"  # method for transients, with photometry.method: auto
NOT_LISTED = [
    "aperture",
    "is_automatic",
    "tmag_listed",
    "finding",
    "same_as",
    "image_row",
    "image_column",
]  # columns


def run_todo(
    ccd_id: CcdId,
    *,
    pixels: Path,
    catalog: Path,
    prf: Path,
    output: Path,
    settings: TodoSettings,
    photometry: PhotometrySettings,
    list_check: Path | None = None,
    unlisted: Path | None = None,
    transients: Path | None = None,
    cutouts: Path | None = None,
    not_measured: Path | None = None,
) -> None:
    """Decide who is measured, with which pixels, and who is left to a brighter neighbor.

    Parameters
    ----------
    pixels, catalog, prf : Path
        ``pixels.hdf5``, ``catalog.sqlite``, ``prf.fits``.
    settings : TodoSettings
    photometry : PhotometrySettings
        ``method``, ``tiles``, ``aperture``, ``auto`` and ``transients`` of them.
    list_check, unlisted, transients : Path, optional
        ``list_check.ecsv``, ``unlisted.ecsv``, ``transients.ecsv``: what the images say of the
        catalog.
    cutouts, not_measured : Path, optional
        ``cutouts.ecsv`` and, to be written from it, ``not_measured.ecsv``.

    Raises
    ------
    InputDataError
        If no star is bright enough.
    """
    known, about = read_catalog(catalog)
    checks = StarChecks.read(list_check, unlisted, transients)
    stamps = read_cutout_table(cutouts) if ccd_id.has_stamps and cutouts is not None else []
    targets = [stamp["tic_id"] for stamp in stamps]
    known, is_wanted = _wanted(known, checks, settings, photometry, targets)
    believed = checks.believed(known)
    model = read_prf(prf)
    with PixelCube(pixels) as cube:
        window = cube.window
        in_image = np.column_stack(average_places(cube, believed))
        cadence_seconds = int(cube.attributes["cadence_seconds"])
        found, on_data = ccd_apertures(
            cube,
            believed,
            model,
            photometry.aperture,
            faint_limit=np.inf,
            only=np.flatnonzero(is_wanted),
        )
    twins = _twins(known, checks, found)
    found |= {twin: found[star] for twin, star in twins.items()}
    on_data = on_data[: len(known)]
    on_data[list(twins)] = True
    out = _with_twins(in_sector(read_excluded(settings.exclude), ccd_id.sector), checks)
    excluded = excluded_stars(known, sorted(found), out, ccd_id)
    if cutouts is not None and not_measured is not None:
        left_out = stars_not_measured(known, on_data, is_wanted, excluded, cutouts, ccd_id)
        write_not_measured(not_measured, left_out, ccd_id)
    chosen = sorted(set(found) - set(excluded.index))
    if not chosen:
        raise InputDataError(
            f"{catalog}: no star that is not in todo.exclude and brighter than todo.faint_limit "
            f"{settings.faint_limit} lies on the pixels of {ccd_id}, window {window.as_list()}"
        )
    # Entries of a star that has another one stand where that stands.
    places = [twins.get(index, index) for index in chosen]
    where = believed[["tmag", "row", "column"]].iloc[places].set_index(pd.Index(chosen))
    stars = _placed(known.iloc[chosen].assign(**where), about, ccd_id, photometry.tiles)
    if stamps:
        stars["datasource"] = _datasources(stars, stamps)
    stars["cadence_seconds"] = cadence_seconds
    stars["aperture"] = pd.Series([found[index] for index in chosen], dtype=object)
    stars[["image_row", "image_column"]] = in_image[places]
    listed = in_sector(read_methods(settings.methods), ccd_id.sector)
    stars = with_priority(_with_methods(stars, listed, model.zeropoint, photometry))
    stars = _with_findings(stars, known, checks)
    inputs = pixels, catalog, prf, list_check, unlisted
    about_making = provenance(
        {"todo": _with_text_keys(settings), "photometry": photometry.as_mapping()},
        [path for path in (*inputs, transients, cutouts) if path],
    )
    _write_list(output, stars, excluded, about_making, ccd_id)
    n_listed = int(stars["tic_id"].isin(list(listed)).sum())
    log.info("%s: %d methods are from todo.methods", ccd_id, n_listed)


def _with_findings(stars: pd.DataFrame, known: pd.DataFrame, checks: StarChecks) -> pd.DataFrame:
    """Add what the catalog says of the stars, and what the images say of its entries."""
    return stars.assign(
        tmag_listed=stars["tic_id"].map(known.set_index("tic_id")["tmag"]),
        finding=stars["tic_id"].map(checks.warnings()),
        same_as=stars["tic_id"].map(checks.same_as),
    )


def _wanted(
    known: pd.DataFrame,
    checks: StarChecks,
    settings: TodoSettings,
    photometry: PhotometrySettings,
    targets: Sequence[int],
) -> tuple[pd.DataFrame, NDArray]:
    """The catalog, with transients if these are measured, and who of it is: (n_stars,) bool.

    Stars that target pixel files are made for are measured however faint they are.
    """
    is_wanted = (known["tmag"] <= settings.faint_limit).to_numpy()
    is_wanted |= known["tic_id"].isin(targets).to_numpy()
    if not photometry.transients:
        return known, is_wanted
    is_wanted |= known["tic_id"].isin(checks.outbursts).to_numpy()
    appeared = checks.as_stars
    if not len(appeared):
        return known, is_wanted
    is_wanted = np.append(is_wanted, np.ones(len(appeared), dtype=bool))
    return pd.concat([known, appeared], ignore_index=True), is_wanted


def _twins(known: pd.DataFrame, checks: StarChecks, found: dict[int, Aperture]) -> dict[int, int]:
    """From entries of stars that have another one, which is measured, to that; rows of known."""
    tic_id = pd.Index(known["tic_id"])
    twin = tic_id.get_indexer(pd.Index(list(checks.same_as)))
    star = tic_id.get_indexer(pd.Index(list(checks.same_as.values())))
    pairs = zip(twin.tolist(), star.tolist(), strict=True)
    return {twin: star for twin, star in pairs if twin >= 0 and star in found}


def _with_twins(reasons: Mapping[int, str], checks: StarChecks) -> dict[int, str]:
    """Excluded stars with the other entries of each: without it they have no position."""
    twins = {
        twin: f"the same star as TIC {star}"
        for twin, star in checks.same_as.items()
        if star in reasons and twin not in reasons
    }
    return dict(reasons) | twins


def _write_list(
    output: Path,
    stars: pd.DataFrame,
    excluded: pd.DataFrame,
    about_making: dict[str, str],
    ccd_id: CcdId,
) -> None:
    """Find out who is left to a brighter neighbor, write all, and tell the numbers."""
    apertures = stars["aperture"].tolist()
    seen_at = {"row": stars["image_row"], "column": stars["image_column"]}
    skipped = _left_to_brighter(stars.assign(**seen_at), apertures)
    findings = [text if isinstance(text, str) else None for text in stars["finding"]]
    automatic = stars["is_automatic"].tolist()
    listed = map(as_listed, apertures, automatic, findings)
    create_todo(
        output,
        stars.assign(tmag=stars["tmag_listed"]).drop(columns=NOT_LISTED),
        info=about_making,
        apertures=dict(zip(stars["priority"].tolist(), listed, strict=True)),
        skipped=skipped,
        excluded=excluded,
    )
    log.info(
        "%s: %d stars, %d of them left to a brighter neighbor, %d minimum apertures, "
        "%d limited by missing pixels, %d with the light of unknown stars; %s; %d others excluded",
        ccd_id,
        len(stars),
        len(skipped),
        sum(aperture.is_minimum for aperture in apertures),
        sum(aperture.is_limited for aperture in apertures),
        sum(aperture.has_unknown_light for aperture in apertures),
        ", ".join(f"{n} {method}" for method, n in stars["method"].value_counts().items()),
        len(excluded),
    )


def _placed(
    stars: pd.DataFrame, about: Mapping[str, Any], ccd_id: CcdId, tiles: list[int] | None
) -> pd.DataFrame:
    """Stars of the catalog as rows of the todo list: with CCD, area and tile."""
    centre = float(about["camera_centre_ra"]), float(about["camera_centre_dec"])
    ra, dec = (stars[name].to_numpy(dtype=float) for name in ("ra", "dec"))
    places = zip(stars["row"].tolist(), stars["column"].tolist(), strict=True)
    return (
        stars[["tic_id", "tmag", "row", "column"]]
        .assign(
            sector=ccd_id.sector,
            camera=ccd_id.camera,
            ccd=ccd_id.ccd,
            datasource="ffi",
            cbv_area=cbv_area(ccd_id.camera, ccd_id.ccd, ra, dec, centre),
            tile=[tile_of(row, column, tiles) for row, column in places],
        )
        .reset_index(drop=True)
    )


def _datasources(stars: pd.DataFrame, stamps: list[dict]) -> list[str]:
    """Where the pixels of stars are from: 'tpf', or 'tpf:<TIC>' for those without an own file.

    Of several files with a star the one in which it is farthest from the edge is named.
    """
    own = {stamp["tic_id"] for stamp in stamps}
    row, column = (stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    farthest = np.full(len(stars), -np.inf)
    host = np.zeros(len(stars), dtype=np.int64)
    for stamp in stamps:
        window = stamp["window"]
        inside = np.minimum(
            np.minimum(row - window.row0, window.row1 - 1 - row),
            np.minimum(column - window.column0, window.column1 - 1 - column),
        )
        closer = inside > farthest
        farthest[closer], host[closer] = inside[closer], stamp["tic_id"]
    return [
        "tpf" if tic_id in own else f"tpf:{other}"
        for tic_id, other in zip(stars["tic_id"].tolist(), host.tolist(), strict=True)
    ]


def _with_text_keys(settings: TodoSettings) -> dict[str, Any]:
    """Section ``todo`` with texts for the TIC numbers that are keys of ``methods``."""
    methods = settings.methods
    if not isinstance(methods, str):
        methods = {str(tic_id): method for tic_id, method in methods.items()}
    return settings.as_mapping() | {"methods": methods}


def _with_methods(
    stars: pd.DataFrame, listed: Mapping[int, str], zeropoint: float, photometry: PhotometrySettings
) -> pd.DataFrame:
    """Add each star's ``method``, from ``todo.methods`` or by rule, and whether rules chose it."""
    own = stars["tic_id"].map(listed)
    methods = suitable_methods(
        stars["tmag"].to_numpy(), stars["aperture"].tolist(), zeropoint, photometry
    )
    is_automatic = own.isna().to_numpy() & (photometry.method == "auto")
    # By a PRF fit they are told from the stars beside them.
    transient = np.array([is_kind(tic_id, TRANSIENT) for tic_id in stars["tic_id"]], dtype=bool)
    methods = np.where(is_automatic & transient, FORCED, methods)
    return stars.assign(
        method=np.where(own.notna(), own, methods),
        is_automatic=is_automatic & ~transient,
    )


def _left_to_brighter(stars: pd.DataFrame, apertures: list[Aperture]) -> pd.DataFrame:
    """Stars that lie in the aperture of a brighter one, which is measured in their place.

    And entries of a star that has another one.

    Stars are gone through from the brightest on; one that is itself left out
    takes nobody else with it. See `is_left_out` for stars that are fitted.
    """
    row, column = (stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    priority = stars["priority"].to_numpy()
    method = stars["method"].to_numpy(dtype=object)
    saturates = stars["tmag"].to_numpy(dtype=float) < SATURATION_TMAG
    skipped_by = np.zeros(len(stars), dtype=np.int64)
    if "same_as" in stars:
        priority_of = stars.set_index("tic_id")["priority"]
        skipped_by[:] = stars["same_as"].map(priority_of).fillna(0)
    order = np.argsort(row, kind="stable")
    sorted_row = row[order]
    for index, aperture in enumerate(apertures):
        if skipped_by[index]:
            continue
        first, last = np.searchsorted(
            sorted_row, [aperture.window.row0 - 0.5, aperture.window.row1 - 0.5]
        )
        near = order[first:last]
        beside = column[near] - (aperture.window.column0 - 0.5)
        beside = (beside >= 0) & (beside < aperture.window.shape[1])
        near = near[beside & (near > index) & (skipped_by[near] == 0)]
        if near.size:
            near = near[aperture.contains(row[near], column[near])]
            left = is_left_out(method[near], method[index], brighter_saturates=saturates[index])
            skipped_by[near[left]] = priority[index]
    left = skipped_by > 0
    return pd.DataFrame({"priority": priority[left], "skipped_by": skipped_by[left]})
