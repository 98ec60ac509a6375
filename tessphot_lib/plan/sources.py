"""Sources of pixels, one class each: a folder, MAST, TESScut, the simulator.

A source says where its images are or will be, in which blocks they are read,
which rules bring them, and what the configuration must hold for it. Nothing
else in the plan or in the workflow asks which source it is: a new one is a
class here, a name in the schema and, where need be, a file of rules.

Imported whenever the workflow is read: nothing heavier than numpy.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.io.images.cutout_files import CUTOUT_NAME, find_cutouts
from tessphot_lib.io.images.ffi_files import (
    FFI_NAME,
    FfiFile,
    find_ffis,
    name_btjd,
    parse_ffi_name,
    set_aside,
)
from tessphot_lib.io.images.ffi_list import as_files, read_ffi_list
from tessphot_lib.plan.source import Blocks, FolderSource, Source, name_some
from tessphot_lib.plan.stars import STAR_SERVICES, stars_before_images
from tessphot_lib.simulation.schedule import ffi_names

INPUT_VARIABLE = "TESSPHOT_INPUT"  # environment variable that stands in for input.ffi_dir
DEFAULT_FFI_DIR = "data/ffi"


class FfiFolder(FolderSource):
    """Full-frame images in ``input.ffi_dir``."""

    rules = ("images.smk",)
    pattern = FFI_NAME

    @property
    def folder(self) -> Path:
        """The folder of the images."""
        return ffi_folder(self.config)

    @property
    def folder_key(self) -> str:
        """Where the name of the folder comes from, for messages."""
        if self.config["input"]["ffi_dir"]:
            return "input.ffi_dir"
        if os.environ.get(INPUT_VARIABLE):
            return f"input.ffi_dir is null, ${INPUT_VARIABLE}"
        return f"input.ffi_dir and ${INPUT_VARIABLE} are not set, the default"

    def problems(self) -> Iterator[str]:
        """Yield a line if the folder is not there and must be."""
        yield from super().problems()
        if not (self.folder.is_dir() or stars_before_images(self.config)):
            yield (
                f"{self.folder_key}: there is no folder '{self.folder}'; "
                "it should hold the full-frame images"
            )

    def search(self) -> dict[CcdId, list[FfiFile]]:
        """Return all images in the folder, by CCD."""
        return find_ffis(self.folder)


class TessCut(FolderSource):
    """Cutouts in ``input.cutout_dir``, downloaded there from TESScut if asked for."""

    rules = ("fetch_cutouts.smk", "cutouts.smk")
    has_cutouts = True
    fetches = "the cutouts (rule fetch_cutouts)"
    folder_key = "input.cutout_dir"
    pattern = CUTOUT_NAME

    @property
    def folder(self) -> Path:
        """The folder of the cutouts."""
        return Path(self.config["input"]["cutout_dir"]).expanduser()

    @staticmethod
    def settings_problems(settings: Mapping[str, Any]) -> Iterator[str]:
        """Yield a line for each target that is no position on the sky."""
        for target in settings["cutouts"]["targets"]:
            if isinstance(target, list) and not (0 <= target[0] <= 360 and -90 <= target[1] <= 90):
                yield f"input.cutouts.targets: {target} is not [ra, dec] in degrees"

    def problems(self) -> Iterator[str]:
        """Yield a line if there is no folder, and no cutouts will be downloaded to it."""
        yield from super().problems()
        named = self.config["input"]["cutout_dir"]
        if named is None:
            yield "input.cutout_dir: must name a folder, since input.source is 'tesscut'"
        elif not (self.folder.is_dir() or self.config["input"]["cutouts"]["targets"]):
            yield (
                f"input.cutout_dir: there is no folder {named!r}; it should hold cutouts of TESScut"
            )

    def search(self) -> dict[CcdId, list[FfiFile]]:
        """Return all cutouts in the folder, by CCD."""
        return find_cutouts(self.folder)

    def find(self, asked: Sequence[CcdId], *, is_main: bool) -> list[CcdId]:
        """Search the folder, once all cutouts are there that are wanted."""
        self._is_main = is_main
        if self.lists_to_fetch(asked):
            return list(asked)
        with_images = super().find(asked, is_main=is_main)
        if others := sorted(set(self.found) - set(asked or with_images)):
            self.warnings.append(
                f"not asked for by sectors, cameras and ccds: the cutouts of {name_some(others)}"
            )
        return with_images

    def lists_to_fetch(self, ccd_ids: Sequence[CcdId]) -> list[str]:
        """Return the list of the downloaded cutouts, as long as it is not there."""
        is_wanted = bool(self.config["input"]["cutouts"]["targets"])
        return [self.list_path] if is_wanted and not Path(self.list_path).exists() else []

    @property
    def list_path(self) -> str:
        """What `fetch_cutouts` writes: another file when other cutouts are wanted."""
        names = ("sectors", "cameras", "ccds")
        wanted = [self.config["input"]["cutouts"], *(self.config[name] for name in names)]
        digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
        return f"results/cutouts_{digest[:8]}.csv"

    def _group(self, files: list[FfiFile]) -> Blocks:
        return {"cutouts": [file.path for file in files]}


class Mast(Source):
    """Full-frame images that are downloaded from MAST to ``input.ffi_dir``."""

    rules = ("fetch.smk", "images.smk")
    fetches = "their lists (rule fetch_list)"

    @staticmethod
    def settings_problems(settings: Mapping[str, Any]) -> Iterator[str]:
        """Yield a line if the time range is empty."""
        wanted = settings["mast"]["time_range"]
        if wanted is not None and not wanted[0] < wanted[1]:
            yield f"input.mast.time_range: {wanted[0]} is not before {wanted[1]}"

    def lists_to_fetch(self, ccd_ids: Sequence[CcdId]) -> list[str]:
        """Return the lists of images that are not there yet, one for each CCD."""
        return [path for path in map(self.list_of, ccd_ids) if not Path(path).exists()]

    def list_of(self, ccd_id: CcdId) -> str:
        """Return the list of the images of a CCD."""
        return f"results/{ccd_id}/ffi_list.csv"

    def bulk_scripts_of(self, ccd_id: CcdId) -> list[str]:
        """Return MAST's list of all images of the sector; none where the cloud is asked."""
        is_cloud = self.config["input"]["mast"]["from"] == "cloud"
        return [] if is_cloud else [f"results/tesscurl_sector_{ccd_id.sector}_ffic.sh"]

    def images_here(self, ccd_id: CcdId) -> list[str]:
        """Return no images: the headers come first."""
        return []

    def headers_of(self, ccd_id: CcdId) -> list[str]:
        """Return the file of the headers of all images of a CCD."""
        return [f"results/{ccd_id}/ffi_headers.zip"]

    def blocks_to_fetch(self, ccd_ids: Sequence[CcdId]) -> Iterator[tuple[CcdId, str, list[str]]]:
        """Yield CCD, block and its images, once all lists are there."""
        if self.lists_to_fetch(ccd_ids):
            return
        for ccd_id in ccd_ids:
            for block, images in self.blocks_of(ccd_id).items():
                yield ccd_id, block, images

    def protect_images(self, ccd_ids: Sequence[CcdId]) -> None:
        """Keep images of incomplete blocks from Snakemake, which deletes what is made again."""
        for ccd_id, block, images in self.blocks_to_fetch(ccd_ids):
            if not Path(f"results/{ccd_id}/blocks/{block}.hdf5").exists():
                set_aside(Path(image) for image in images)

    def _list_files(self, ccd_id: CcdId) -> list[FfiFile]:
        """Image files as they will be after the download."""
        path = Path(self.list_of(ccd_id))
        if not path.exists():
            raise InputDataError(f"{path} is not there yet: run snakemake ... -- fetch_list first")
        wanted = self.config["input"]["mast"]["time_range"]
        listed = read_ffi_list(path)
        files = as_files(listed, ffi_folder(self.config) / str(ccd_id), wanted)
        if not files:
            stamps = [file.stamp for file in as_files(listed, Path(), None)]
            raise ConfigError(
                f"input.mast.time_range: no image of {ccd_id} from {wanted[0]} to {wanted[1]}; "
                f"there are some from {name_btjd(stamps[0]):.3f} to {name_btjd(stamps[-1]):.3f}"
            )
        return files


class Simulated(Source):
    """A fake sector, made on the spot; its file names follow from the configuration."""

    rules = ("simulate.smk", "images.smk")

    def problems(self) -> Iterator[str]:
        """Yield a line if the stars would be those of the sky."""
        source = self.config["catalog"]["source"]
        if source in STAR_SERVICES:
            yield (
                f"catalog.source: {source!r} does not go with input.source: simulated, whose stars "
                "are not those of the sky; use 'simulated'"
            )

    def blocks_to_simulate(self) -> Iterator[tuple[int, str, list[str]]]:
        """Yield sector, block and its images, with wildcards for camera and CCD."""
        for sector in self.config["sectors"]:
            for block, images in self.blocks_of(CcdId(sector, 1, 1)).items():
                names = [image.replace("-cam1-ccd1/", "-cam{camera}-ccd{ccd}/") for image in images]
                yield (
                    sector,
                    block,
                    [
                        name.replace(f"-s{sector:04d}-1-1-", f"-s{sector:04d}-{{camera}}-{{ccd}}-")
                        for name in names
                    ],
                )

    def _list_files(self, ccd_id: CcdId) -> list[FfiFile]:
        names = ffi_names(ccd_id, SimulationSettings.from_mapping(self.config["simulation"]))
        return [FfiFile(_stamp(name), f"simulated/{ccd_id}/{name}", False) for name in names]


# By their names in input.source.
SOURCES: dict[str, type[Source]] = {
    "ffi": FfiFolder,
    "mast": Mast,
    "tesscut": TessCut,
    "simulated": Simulated,
}


def ffi_folder(config: Mapping[str, Any]) -> Path:
    """Return the folder of the FFIs: ``input.ffi_dir``, else $TESSPHOT_INPUT, else data/ffi."""
    named = config["input"]["ffi_dir"] or os.environ.get(INPUT_VARIABLE) or DEFAULT_FFI_DIR
    return Path(named).expanduser()


def _stamp(name: str) -> str:
    parsed = parse_ffi_name(name)
    if parsed is None:
        raise InputDataError(f"not the name of a full-frame image: {name!r}")
    return parsed[1]
