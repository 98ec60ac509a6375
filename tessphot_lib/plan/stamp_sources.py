"""Sources of target pixel files, one class each: a folder, the simulator.

Imported whenever the workflow is read: nothing heavier than numpy.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.images.ffi_files import FfiFile, listed_ccds
from tessphot_lib.io.images.refusal import SKIPPED
from tessphot_lib.io.images.tpf_files import TPF_NAME, find_stamps
from tessphot_lib.plan.source import Blocks, FolderSource, Source
from tessphot_lib.plan.sources import Simulated

TPF_FILES = Path(".snakemake/tessphot/tpfs")  # what was found, for the processes of jobs


class TpfFolder(FolderSource):
    """Target pixel files in ``input.tpf_dir``: a CCD once for each of their cadences."""

    rules = ("fetch_tpfs.smk", "stamps.smk")
    has_cutouts = True
    files = "target pixel file"
    fetches = "the target pixel files (rule fetch_tpfs)"
    fetch_setting = "input.tpfs.targets"
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
        self._report_unusable()
        present = sorted(self.found)
        with_stamps = {ccd_id.of_images for ccd_id in present}
        absent = [ccd_id for ccd_id in asked if ccd_id not in with_stamps]
        elsewhere = [] if present else sorted(find_stamps(self.folder, None)[0])
        self._compare(asked, present, absent, elsewhere)
        return present

    def _report_unusable(self) -> None:
        """Warn of files that do not say what they are of; an error if these are to stop a run."""
        if not self._unusable:
            return
        text = f"{self.folder_key}: {self._unusable[0]}"
        if len(self._unusable) > 1:
            text += f" (and {len(self._unusable) - 1} more such files)"
        if self.config["input"]["on_bad_image"] == "error":
            raise ConfigError(f"{text} ({SKIPPED})")
        self.warnings.append(f"left out: {text}")

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


def stamps_of(config: Mapping[str, Any]) -> Source | None:
    """Return the source of the target pixel files that are measured, None if none are."""
    if "tpf" not in config["input"]["datasources"]:
        return None
    is_simulated = config["input"]["source"] == "simulated" and not config["input"]["tpf_dir"]
    return SimulatedTpfs(config) if is_simulated else TpfFolder(config)
