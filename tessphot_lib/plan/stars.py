"""Where the stars of a run come from: a service, a file, or the simulator.

Imported whenever the workflow is read: standard library only, but for a list of stars in a file.
"""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.star_table_formats import READABLE, table_format

STAR_SERVICES = ("mast", "vizier")  # values of catalog.source that mean a download
# File of each CCD that its catalog is made from, by catalog.source; else catalog.file is.
LISTS = {"simulated": "tic.csv"} | dict.fromkeys(STAR_SERVICES, "tic.fits")
LONG_VOTABLE = 10_000_000  # [bytes] such a file can only be read as a whole


def star_list_of(config: Mapping[str, Any], ccd_id: CcdId) -> str:
    """Return the file that the catalog of a CCD is made from."""
    name = LISTS.get(config["catalog"]["source"])
    if name is None:
        return str(Path(config["catalog"]["file"]).expanduser())
    if name == LISTS["simulated"]:
        ccd_id = ccd_id.of_images  # one sky for images and target pixel files
    return f"results/{ccd_id}/{name}"


def stars_before_images(config: Mapping[str, Any]) -> bool:
    """Return whether lists of stars can be fetched before any image is there."""
    catalog = config["catalog"]
    return catalog["source"] in STAR_SERVICES and catalog["footprint"] == "pointing"


def star_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with ``catalog.footprint`` and ``catalog.file``, a line each."""
    if stars_before_images(config) and find_spec("tesswcs") is None:
        yield (
            "catalog.footprint: 'pointing' needs the package tesswcs, which is not installed: "
            "pip install '.[pointings]'"
        )
    if config["catalog"]["source"] in LISTS:
        return
    file = config["catalog"]["file"]
    if file is None:
        yield "catalog.file: must name a file, since catalog.source is 'file'"
    elif table_format(file) is None:
        yield f"catalog.file: {file!r} ends in none of {READABLE}"
    elif not Path(file).expanduser().is_file():
        yield f"catalog.file: there is no file {file!r}"
    elif table_format(file) == "parquet" and find_spec("pyarrow") is None:
        yield f"catalog.file: {file!r} needs the package pyarrow, which is not installed"
    else:
        yield from _no_stars(Path(file).expanduser())


def _no_stars(path: Path) -> Iterator[str]:
    """Yield a line if the file is no list of stars, as far as that is seen at once."""
    from tessphot_lib.io.stars.tic import check_tic  # heavy

    if table_format(path.name) == "votable" and path.stat().st_size > LONG_VOTABLE:
        return
    try:
        check_tic(path)
    except InputDataError as error:
        yield f"catalog.file: {error}"
