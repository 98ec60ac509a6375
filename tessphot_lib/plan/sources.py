"""Sources of pixels, one class each: a folder, MAST, TESScut, the simulator, target pixel files.

A source says where its images are or will be, in which blocks they are read,
which rules bring them, and what the configuration must hold for it. Nothing
else in the plan or in the workflow asks which source it is: a new one is a
class here, a name in the schema and, where need be, a file of rules.

Imported whenever the workflow is read: nothing heavier than numpy.
"""

import hashlib
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from tessphot_lib.core.asked import AskedCcds
from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.io.images.cutout_files import CUTOUT_NAME, find_cutouts
from tessphot_lib.io.images.ffi_files import (
    FFI_NAME,
    FfiFile,
    find_ffis,
    group_in_blocks,
    listed_ccds,
    name_btjd,
    parse_ffi_name,
    read_listing,
    set_aside,
    write_listing,
)
from tessphot_lib.io.images.ffi_list import as_files, read_ffi_list
from tessphot_lib.io.images.foreign import (
    foreign_files,
    foreign_lines,
    missed_images,
    puzzling_files,
)
from tessphot_lib.io.images.tpf_files import TPF_NAME, find_stamps
from tessphot_lib.plan.stars import STAR_SERVICES, stars_before_images
from tessphot_lib.simulation.schedule import ffi_names

INPUT_VARIABLE = "TESSPHOT_INPUT"  # environment variable that stands in for input.ffi_dir
DEFAULT_FFI_DIR = "data/ffi"
LISTING = Path(".snakemake/tessphot/ffis")  # what was found, for the processes of jobs
TPF_FILES = Path(".snakemake/tessphot/tpfs")  # the same of target pixel files
Blocks = dict[str, list[str]]  # name of a block to paths of its images, in order of time


class Source(ABC):
    """Where the images of a run come from.

    Parameters
    ----------
    config : mapping
        The complete configuration, checked by the schema.

    Attributes
    ----------
    rules : tuple of str
        The files in ``workflow/rules`` that make images, ``ffis.ecsv`` and blocks.
    has_cutouts : bool
        Whether there are pixels in parts of a CCD only; ``cutouts.ecsv`` lists these.
    fetches : str
        What `lists_to_fetch` are, in words.
    warnings : list of str
        What a user should know of the images that were found.
    """

    rules: ClassVar[tuple[str, ...]]
    has_cutouts: ClassVar[bool] = False
    fetches: ClassVar[str] = ""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.warnings: list[str] = []
        self._files: dict[CcdId, list[FfiFile]] = {}
        self._blocks: dict[CcdId, Blocks] = {}

    @staticmethod
    def settings_problems(settings: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong in section ``input``, even where this source is not used."""
        yield from ()

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the configuration for this source, a line each."""
        if self.config["catalog"]["source"] == "simulated":
            yield (
                "catalog.source: 'simulated' goes with input.source: simulated only, "
                f"which is {self.config['input']['source']!r}"
            )

    def find(self, asked: Sequence[CcdId], *, is_main: bool) -> list[CcdId]:
        """Return those of the CCDs asked for that have images.

        Parameters
        ----------
        asked : sequence of CcdId
            Empty where all sectors are: those of the files that are found.
        is_main : bool
            False in the process of a job, which searches no folder.
        """
        return list(asked)

    @property
    def is_waiting(self) -> bool:
        """Whether a folder has no images yet, so that only lists of stars can be made."""
        return False

    @property
    def is_known(self) -> bool:
        """Whether it is known which images there are, also to the process of a job."""
        return not self.is_waiting

    def lists_to_fetch(self, ccd_ids: Sequence[CcdId]) -> list[str]:
        """Return the lists that must be fetched before it is known which images there are."""
        return []

    def files_of(self, ccd_id: CcdId) -> list[FfiFile]:
        """Return all image files of a CCD, in order of time."""
        if ccd_id not in self._files:
            self._files[ccd_id] = self._list_files(ccd_id)
        return self._files[ccd_id]

    def images_of(self, ccd_id: CcdId) -> list[str]:
        """Return the paths of all images of a CCD, in order of time."""
        return [file.path for file in self.files_of(ccd_id)]

    def images_here(self, ccd_id: CcdId) -> list[str]:
        """Return the images that ``ffis.ecsv`` is made from; none where headers come first."""
        return self.images_of(ccd_id)

    def headers_of(self, ccd_id: CcdId) -> list[str]:
        """Return the file of headers of images that are not here yet, if there is one."""
        return []

    def blocks_of(self, ccd_id: CcdId) -> Blocks:
        """Return the images of each block of time of a CCD."""
        if ccd_id not in self._blocks:
            self._blocks[ccd_id] = self._group(self.files_of(ccd_id))
        return self._blocks[ccd_id]

    def keep_listing(self) -> None:
        """Keep what was found, for the processes of jobs."""
        return

    def protect_images(self, ccd_ids: Sequence[CcdId]) -> None:
        """Keep images from Snakemake, which deletes what a job makes again."""
        return

    @abstractmethod
    def _list_files(self, ccd_id: CcdId) -> list[FfiFile]:
        """List all image files of a CCD, in order of time."""

    def _group(self, files: list[FfiFile]) -> Blocks:
        return group_in_blocks(files, self.config["prepare"]["block_size"])


class FolderSource(Source):
    """Images that lie in a folder before the run begins."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.found: dict[CcdId, list[FfiFile]] = {}
        self._is_main = True
        self.listing = LISTING

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The folder that is searched with all below it."""

    @property
    @abstractmethod
    def folder_key(self) -> str:
        """Where the name of the folder comes from, for messages."""

    @property
    @abstractmethod
    def pattern(self) -> re.Pattern[str]:
        """Pattern of the names of the images."""

    @abstractmethod
    def search(self) -> dict[CcdId, list[FfiFile]]:
        """Return all images in the folder, by CCD."""

    def find(self, asked: Sequence[CcdId], *, is_main: bool) -> list[CcdId]:
        """Search the folder, or in the process of a job what was kept of that."""
        self._is_main = is_main
        may_wait = stars_before_images(self.config)
        if not is_main and may_wait and not LISTING.is_dir():
            return list(asked)  # the main process found no images, and kept no list
        if not is_main:
            listed = listed_ccds(LISTING)
            asked = asked or self._asked_among(listed)
            with_images = [ccd_id for ccd_id in asked if ccd_id in listed]
            return with_images or (list(asked) if may_wait else [])
        found = {} if may_wait and not self.folder.is_dir() else self.search()
        if not found and may_wait:
            self.warnings.append(
                "there are no images yet: this run only fetches the lists of stars"
            )
            return list(asked)
        asked = asked or self._asked_among(found)
        with_images = [ccd_id for ccd_id in asked if ccd_id in found]
        without = [ccd_id for ccd_id in asked if ccd_id not in found]
        foreign = foreign_files(self.folder, self.pattern)
        if not with_images:
            wanted = name_some(asked) or "these cameras and CCDs"
            text = f"{self.folder_key}: no image of {wanted} in '{self.folder}'"
            text += f"; there are images of {name_some(list(found))}" if found else ""
            text += "" if found or foreign else ", nor anything else that is known"
            raise ConfigError("\n".join([text, *(f"  there: {x}" for x in foreign_lines(foreign))]))
        left_out = [*missed_images(foreign, with_images), *puzzling_files(foreign)]
        self.warnings += [f"left out, in '{self.folder}': {line}" for line in left_out]
        if without:
            self.warnings.append(f"left out, no images in '{self.folder}': {name_some(without)}")
        self.found = found
        return with_images

    def _asked_among(self, found: Iterable[CcdId]) -> list[CcdId]:
        """Those CCDs that are asked for where all sectors are."""
        return AskedCcds.from_config(self.config).among(found)

    @property
    def is_waiting(self) -> bool:
        """Whether there is no image yet, and the stars can be fetched without any."""
        return self._is_main and not self.found and stars_before_images(self.config)

    @property
    def is_known(self) -> bool:
        """Whether it is known which images there are, also to the process of a job."""
        return bool(self.found) if self._is_main else self.listing.is_dir()

    def keep_listing(self) -> None:
        """Keep what was found, for the processes of jobs."""
        if self.found:
            write_listing(self.listing, self.found)

    def _list_files(self, ccd_id: CcdId) -> list[FfiFile]:
        return self.found[ccd_id] if ccd_id in self.found else read_listing(self.listing, ccd_id)


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


class TpfFolder(FolderSource):
    """Target pixel files in ``input.tpf_dir``: a CCD once for each of their cadences."""

    rules = ("fetch_tpfs.smk", "stamps.smk")
    has_cutouts = True
    fetches = "the target pixel files (rule fetch_tpfs)"
    folder_key = "input.tpf_dir"
    pattern = TPF_NAME

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.listing = TPF_FILES
        self._unusable: list[str] = []

    @property
    def folder(self) -> Path:
        """The folder of the target pixel files."""
        return Path(self.config["input"]["tpf_dir"]).expanduser()

    def problems(self) -> Iterator[str]:
        """Yield a line if no folder is named; whether it is there is looked at in any case."""
        if self.config["input"]["tpf_dir"] is None:
            yield "input.tpf_dir: must name a folder, since input.datasources has 'tpf'"

    def search(self) -> dict[CcdId, list[FfiFile]]:
        """Return all target pixel files of the CCDs asked for, by CCD and cadence."""
        found, self._unusable = find_stamps(self.folder, self._asked or None)
        return {one: found[one] for one in self._asked_among(found)}

    def find(self, asked: Sequence[CcdId], *, is_main: bool) -> list[CcdId]:
        """Search the folder, or in the process of a job what was kept of that."""
        self._is_main, self._asked = is_main, asked
        if self.lists_to_fetch(asked):
            return list(asked)
        if not is_main:
            known = listed_ccds(self.listing) if self.listing.is_dir() else []
            return self._asked_among(known)
        self.found = self.search()
        if self._unusable:
            text = f"{self.folder_key}: {self._unusable[0]}"
            if len(self._unusable) > 1:
                text += f" (and {len(self._unusable) - 1} more such files)"
            if self.config["input"]["on_bad_image"] == "error":
                raise ConfigError(text)
            self.warnings.append(f"left out: {text}")
        if not self.found:
            raise ConfigError(
                f"{self.folder_key}: no target pixel file of "
                f"{name_some(asked) or 'these cameras and CCDs'} in '{self.folder}'"
            )
        return sorted(self.found)

    @property
    def is_waiting(self) -> bool:
        """Nothing is waited for."""
        return False

    def lists_to_fetch(self, ccd_ids: Sequence[CcdId]) -> list[str]:
        """Return the list of the downloaded files, as long as it is not there."""
        is_wanted = bool(self.config["input"]["tpfs"]["targets"])
        return [self.list_path] if is_wanted and not Path(self.list_path).exists() else []

    @property
    def list_path(self) -> str:
        """What `fetch_tpfs` writes: another file when other ones are wanted."""
        wanted = [self.config["input"]["tpfs"], self.config["sectors"]]
        digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
        return f"results/tpfs_{digest[:8]}.csv"

    def _group(self, files: list[FfiFile]) -> Blocks:
        return {"stamps": [file.path for file in files]}


class SimulatedTpfs(Source):
    """Target pixel files of the fake sector, in a folder for each CCD and cadence."""

    rules = ("simulate_tpfs.smk", "stamps.smk")
    has_cutouts = True

    def problems(self) -> Iterator[str]:
        """Yield nothing: what the images of the same sky need is needed here."""
        yield from Simulated(self.config).problems()

    def find(self, asked: Sequence[CcdId], *, is_main: bool) -> list[CcdId]:
        """Return each CCD once for each cadence."""
        cadences = self.config["simulation"]["tpf_cadences"]
        return [replace(ccd_id, cadence=cadence) for ccd_id in asked for cadence in cadences]

    def _list_files(self, ccd_id: CcdId) -> list[FfiFile]:
        return [FfiFile("", f"simulated/{ccd_id}", False)]

    def _group(self, files: list[FfiFile]) -> Blocks:
        return {"stamps": [file.path for file in files]}


# By their names in input.source.
SOURCES: dict[str, type[Source]] = {
    "ffi": FfiFolder,
    "mast": Mast,
    "tesscut": TessCut,
    "simulated": Simulated,
}


def stamps_of(config: Mapping[str, Any]) -> Source | None:
    """Return the source of the target pixel files that are measured, None if none are."""
    if "tpf" not in config["input"]["datasources"]:
        return None
    is_simulated = config["input"]["source"] == "simulated" and not config["input"]["tpf_dir"]
    return SimulatedTpfs(config) if is_simulated else TpfFolder(config)


def ffi_folder(config: Mapping[str, Any]) -> Path:
    """Return the folder of the FFIs: ``input.ffi_dir``, else $TESSPHOT_INPUT, else data/ffi."""
    named = config["input"]["ffi_dir"] or os.environ.get(INPUT_VARIABLE) or DEFAULT_FFI_DIR
    return Path(named).expanduser()


def name_some(ccd_ids: Sequence[CcdId], at_most: int = 4) -> str:
    """Name a few CCDs, and count the others."""
    names = ", ".join(str(ccd_id) for ccd_id in ccd_ids[:at_most])
    return names if len(ccd_ids) <= at_most else f"{names} and {len(ccd_ids) - at_most} more"


def _stamp(name: str) -> str:
    parsed = parse_ffi_name(name)
    if parsed is None:
        raise InputDataError(f"not the name of a full-frame image: {name!r}")
    return parsed[1]
