"""What all sources of pixels have in common, and those that are folders.

Imported whenever the workflow is read: nothing heavier than numpy.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tessphot_lib.core.asked import AskedCcds
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.images.ffi_files import (
    FfiFile,
    group_in_blocks,
    listed_ccds,
    read_listing,
    write_listing,
)
from tessphot_lib.io.images.foreign import (
    foreign_files,
    foreign_lines,
    missed_images,
    puzzling_files,
)
from tessphot_lib.plan.stars import stars_before_images

LISTING = Path(".snakemake/tessphot/ffis")  # what was found, for the processes of jobs
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

    @property
    def fetch_setting(self) -> str:
        """The setting that `lists_to_fetch` follow from, for messages."""
        return f"input.source: {self.config['input']['source']!r}"

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
    """Images that lie in a folder before the run begins.

    Attributes
    ----------
    files : str
        What they are, one of them, for messages.
    """

    files: ClassVar[str] = "image"

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
        self._compare(asked, with_images, without, list(found))
        self.found = found
        return with_images

    def _compare(
        self,
        asked: Sequence[CcdId],
        present: list[CcdId],
        absent: list[CcdId],
        found: list[CcdId],
    ) -> None:
        """Warn of what is left out: CCDs that are absent, files that are not what is wanted.

        Raises
        ------
        ConfigError
            If no CCD is present: it names those that were found, and the other files.
        """
        foreign = foreign_files(self.folder, self.pattern)
        if not present:
            wanted = name_some(asked) or "these cameras and CCDs"
            text = f"{self.folder_key}: no {self.files} of {wanted} in '{self.folder}'"
            text += f"; there are {self.files}s of {name_some(found)}" if found else ""
            text += "" if found or foreign else ", nor any other files of TESS"
            raise ConfigError("\n".join([text, *(f"  there: {x}" for x in foreign_lines(foreign))]))
        left_out = [*missed_images(foreign, present), *puzzling_files(foreign)]
        self.warnings += [f"left out, in '{self.folder}': {line}" for line in left_out]
        if absent:
            text = f"left out, no {self.files}s in '{self.folder}': {name_some(absent)}"
            self.warnings.append(text)

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


def name_some(ccd_ids: Sequence[CcdId], at_most: int = 4) -> str:
    """Name a few CCDs, and count the others."""
    names = ", ".join(str(ccd_id) for ccd_id in ccd_ids[:at_most])
    return names if len(ccd_ids) <= at_most else f"{names} and {len(ccd_ids) - at_most} more"
