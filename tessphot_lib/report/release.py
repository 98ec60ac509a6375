"""Arranges a finished run as a high-level science product, as the archive MAST takes it.

======================================  ====================================================
s0014/0000/0002/6113/6679/…_lc.fits.gz  a light curve; folders by the digits of the TIC number
s0014/ccd/…_img.fits, …_prf.fits        average image and PRF of each CCD and cadence
s0014/cbv/…_cbv.fits                    its cotrending basis vectors, where there are some; of
                                        target pixel files in folders like s0014/cbv/c0120
…_readme.txt                            columns, keywords and flags
…_targets.csv                           the light curves with their stars
…_md5sum.txt                            checksums: ``md5sum --check`` reads them
======================================  ====================================================

Names are ``hlsp_<id>_tess_ffi_<target>_tess_v<version>_<product>``; of target pixel files they
have ``tpf`` instead of ``ffi``, and the cadence in ``<target>``.
"""

import csv
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import Any

import pandas as pd
from astropy.io import fits

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import ApertureFlag, CadenceFlag, LightCurveFlag, describe
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import HlspSettings
from tessphot_lib.io.files.atomic import complete_folder
from tessphot_lib.io.files.fits_provenance import note_long_strings
from tessphot_lib.io.products.cbv_fits import cbv_path
from tessphot_lib.io.products.lightcurve_template import COMMENTS, HLSP
from tessphot_lib.io.products.todo_sqlite import read_diagnostics, read_todo
from tessphot_lib.io.products.todo_tables import ccd_of_row

NEEDED = ("id", "name", "lead")  # without these there is no collection
ASKED_FOR = ("doi", "license", "license_url")  # by MAST, sooner or later
LISTED = ("tic_id", "sector", "camera", "ccd", "cadence_seconds", "tmag", "method_used", "cdpp_1h")
OF_CCD = {"average_image.fits": "img", "prf.fits": "prf"}
FLAGS: dict[str, type[IntFlag]] = {
    "QUALITY": LightCurveFlag,
    "PIXEL_QUALITY": CadenceFlag,
    "APERTURE (image)": ApertureFlag,
}


@dataclass(frozen=True)
class Released:
    """What a release holds: numbers of light curves and of all files, and settings to be made."""

    n_light_curves: int
    n_files: int
    unset: tuple[str, ...]


@dataclass(frozen=True)
class _Collection:
    """Names and keywords of one collection."""

    settings: HlspSettings
    version: int
    ccd_ids: tuple[CcdId, ...]

    def name(self, target: str, product: str, ccd_id: CcdId | None = None) -> str:
        """Name of a file of a CCD; None: of the whole collection."""
        stamps = [one.has_stamps for one in self.ccd_ids if ccd_id in (None, one)]
        kind = f"tess_{'tpf' if all(stamps) else 'ffi'}"
        return f"hlsp_{self.settings.id}_{kind}_{target}_tess_v{self.version:02d}_{product}"

    def cards(self, target: str) -> dict[str, tuple[str, str]]:
        values = {key: getattr(self.settings, name) for key, name in HLSP.items()}
        values |= {"HLSPVER": f"v{self.version:02d}", "HLSPTARG": target}
        return {key: (value, COMMENTS.get(key, "")) for key, value in values.items() if value}


def release(results: Path, output: Path, settings: Mapping[str, Any]) -> Released:
    """Arrange a run for delivery; nothing of the run is changed.

    Parameters
    ----------
    results : Path
        Folder of the results of a finished run. Light curves are linked, or copied where that
        cannot be done; files of CCDs are copied, with the keywords of the collection added.
    output : Path
        Folder to make; it must not be there.
    settings : mapping
        Section ``output`` of the settings of the run.

    Raises
    ------
    InputDataError
        If the collection has no name, a light curve is of another one, a file is missing, or
        ``output`` is there.
    """
    hlsp = HlspSettings.from_mapping(settings["hlsp"])
    missing = [f"output.hlsp.{name}" for name in NEEDED if not getattr(hlsp, name)]
    if missing:
        raise InputDataError(
            f"{results / 'run.json'}: {', '.join(missing)}: not set; a release needs light curves "
            "that were made with it"
        )
    if output.exists():
        raise InputDataError(f"{output}: is there already; a release needs a new folder")
    stars = _measured(results / "todo.sqlite")
    cadences = {ccd_of_row(star): star["cadence_seconds"] for star in stars}
    collection = _Collection(hlsp, int(settings["version"]), tuple(cadences))
    with complete_folder(output) as folder:
        rows = [_put_light_curve(results, folder, collection, star) for star in stars]
        for ccd_id, cadence_seconds in cadences.items():
            _put_files_of_ccd(results, folder, collection, ccd_id, cadence_seconds)
        _write_targets(folder / collection.name("all", "targets.csv"), rows)
        text = _readme(collection, folder / rows[0]["file"])
        (folder / collection.name("all", "readme.txt")).write_text(text, encoding="utf-8")
        n_files = _write_checksums(folder, collection.name("all", "md5sum.txt"))
    unset = tuple(f"output.hlsp.{name}" for name in ASKED_FOR if not getattr(hlsp, name))
    return Released(len(rows), n_files, unset)


def _measured(todo: Path) -> list[dict[str, Any]]:
    """Stars with a light curve, brightest first."""
    joined = read_todo(todo).merge(read_diagnostics(todo), on="priority")
    joined = joined[joined["lightcurve"].notna()]
    if joined.empty:
        raise InputDataError(f"{todo}: no star has a light curve")
    return joined.to_dict("records")


def _put_light_curve(
    results: Path, folder: Path, collection: _Collection, star: Mapping[str, Any]
) -> dict[str, Any]:
    """Link a light curve under its new name; return its row of the table."""
    source = results / star["lightcurve"]
    if not source.is_file():
        raise InputDataError(f"{source}: no such file")
    found = fits.getheader(source).get("HLSPID")
    if found != collection.settings.id:
        raise InputDataError(
            f"{source}: keyword HLSPID is {found!r}, output.hlsp.id is "
            f"{collection.settings.id!r}: made before it was set?"
        )
    where = f"s{star['sector']:04d}-{star['camera']}-{star['ccd']}-c{star['cadence_seconds']:04d}"
    digits = f"{star['tic_id']:016d}"
    suffix = "lc.fits.gz" if source.suffix == ".gz" else "lc.fits"
    name = collection.name(f"tic{star['tic_id']:011d}-{where}", suffix, ccd_of_row(star))
    target = Path(where[:5], *(digits[first : first + 4] for first in range(0, 16, 4)), name)
    (folder / target).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, folder / target)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, folder / target)
    return {key: star[key] for key in LISTED} | {"file": target.as_posix()}


def _put_files_of_ccd(
    results: Path,
    folder: Path,
    collection: _Collection,
    ccd_id: CcdId,
    cadence_seconds: float,
) -> None:
    """Copy average image, PRF and basis vectors, with the keywords of the collection."""
    sector, where = f"s{ccd_id.sector:04d}", f"{ccd_id.camera}-{ccd_id.ccd}"
    if ccd_id.has_stamps:
        where += f"-c{ccd_id.cadence:04d}"
    found = [(results / str(ccd_id) / name, "ccd", kind) for name, kind in OF_CCD.items()]
    vectors = Path("cbv", cbv_path(ccd_id, cadence_seconds))
    if (results / vectors).exists():
        found.append((results / vectors, str(vectors.parent), "cbv"))
    for source, place, kind in found:
        if not source.is_file():
            raise InputDataError(f"{source}: no such file")
        target = f"{sector}-{where}-ccd"
        path = folder / sector / place / collection.name(target, f"{kind}.fits", ccd_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with fits.open(source) as hdus:
            header = hdus[0].header
            for key, card in collection.cards(target).items():
                header[key] = card
            note_long_strings(header)
            hdus.writeto(path, checksum=True)


def _write_targets(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({key: "" if pd.isna(value) else value for key, value in row.items()})


def _write_checksums(folder: Path, name: str) -> int:
    """Write MD5 sums of all files; return their number."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with (folder / name).open("w", encoding="utf-8") as file:
        for path in paths:
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "md5").hexdigest()
            file.write(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    return len(paths) + 1


def _readme(collection: _Collection, light_curve: Path) -> str:
    """Text on the files, their columns, keywords and flags, from one of the light curves."""
    settings = collection.settings
    lines = [str(settings.name), "=" * len(str(settings.name)), ""]
    lines += [f"Collection  {settings.id}, version {collection.version}"]
    lines += [f"Led by      {settings.lead}"]
    for label, text in (("DOI", settings.doi), ("License", settings.license)):
        lines += [f"{label:<11} {text}"] if text else []
    lines += ["", *__doc__.partition("\n\n")[2].splitlines()]
    with fits.open(light_curve) as hdus:
        header, table = hdus[0].header, hdus["LIGHTCURVE"]
        lines += ["", f"Made by {header['CREATOR']}.", "", "Extensions of a light curve", ""]
        lines += [f"{number}  {hdu.name}" for number, hdu in enumerate(hdus)]
        lines += ["", "Columns of LIGHTCURVE", ""]
        for number, column in enumerate(table.columns, start=1):
            unit = f" [{column.unit}]" if column.unit else ""
            comment = table.header.comments[f"TTYPE{number}"]
            lines.append(f"{column.name:<16} {comment}{unit}")
        lines += ["", "Primary keywords", ""]
        lines += [f"{card.keyword:<16} {card.comment}" for card in header.cards if card.comment]
    for name, kind in FLAGS.items():
        lines += ["", *_flag_lines(name, kind)]
    return "\n".join(lines) + "\n"


def _flag_lines(name: str, kind: type[IntFlag]) -> Iterator[str]:
    yield from (f"Bits of {name}", "")
    for bit, meaning in describe(kind).items():
        yield f"{bit:<16} {meaning}"
