"""What a run consists of: its CCDs, images, tiles, and the files it makes.

Decided whenever the workflow is read, by Snakemake's main process and again by
the process of each job; so nothing here opens an image or imports what does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tessphot_lib.core.asked import AskedCcds
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.tiles import DEFAULT_GRID, grid_of_cutouts, tiles_in
from tessphot_lib.io.images.refusal import forget_refused
from tessphot_lib.io.images.tpf_files import find_tpfs, read_tpf_listing, write_tpf_listing
from tessphot_lib.io.stars.star_lists import list_files
from tessphot_lib.plan.resources import Resource, memory
from tessphot_lib.plan.source import Source, name_some
from tessphot_lib.plan.sources import SOURCES
from tessphot_lib.plan.stamp_sources import stamps_of
from tessphot_lib.plan.stars import star_list_of

TPF_LISTING = Path(".snakemake/tessphot/tpfs.json")
TODO_LIST = "results/todo.sqlite"
SUMMARY = "results/summary.txt"
RECORD = "results/run.json"
REPORT = "results/report/index.html"
JOINED = "results/joined"
LIGHT_CURVE_PICTURE = "results/pictures/light_curve.png"
# What is made of each CCD up to a stage that can be asked for; the tiles come after these.
STAGES = {"catalog": "catalog.sqlite", "prepare": "pixels.hdf5", "todo": "todo.sqlite"}


class Plan:
    """What a run consists of.

    Parameters
    ----------
    config : mapping
        The complete configuration, as `tessphot_lib.plan.config.read_config` returns it.
    is_main : bool
        Whether this is Snakemake's main process, which searches folders and
        checks what it finds; the process of a job reads what was kept of that.

    Attributes
    ----------
    source : Source
        Where the images come from, or the target pixel files if only these are measured.
    stamps : Source or None
        Where target pixel files come from that are measured.
    ccds : list of CcdId
        The CCDs of the run: of those asked for the ones that have images, and once more for
        each cadence the ones with target pixel files.
    window : Window
        The pixels of each CCD that are looked at.
    lists_to_fetch : list of str
        What must be fetched before it is known which images there are; the
        run then makes only these.
    tpfs : dict of CcdId to list of str
        Target pixel files that images get quality bits from.
    warnings : list of str
        What the user should know of all that, a line each.

    Raises
    ------
    TessphotError
        If there are no images, or a file name makes no sense.
    """

    def __init__(self, config: Mapping[str, Any], *, is_main: bool = True) -> None:
        self.config = config
        self.is_main = is_main
        self.window = Window.from_config(config["input"]["window"])
        self.stamps = stamps_of(config)
        with_images = self.stamps is None or "ffi" in config["input"]["datasources"]
        images = SOURCES[config["input"]["source"]](config) if with_images else None
        self.sources = [source for source in (images, self.stamps) if source is not None]
        self.source = self.sources[0]
        asked = AskedCcds.from_config(config).by_name()
        found = [(source, source.find(asked, is_main=is_main)) for source in self.sources]
        self.ccds = list(dict.fromkeys(ccd_id for _, ccd_ids in found for ccd_id in ccd_ids))
        lists = {source: source.lists_to_fetch(ccd_ids) for source, ccd_ids in found}
        self.lists_to_fetch = [path for paths in lists.values() for path in paths]
        self.warnings = [text for source in self.sources for text in source.warnings]
        if is_main:
            for table in map(Path, self.of_each_ccd("ffis.ecsv")):
                forget_refused(table)
        if is_main and not self.first_products:
            for ccd_id in self.ccds:
                # A file name that makes no sense is found here.
                self.source_of(ccd_id).blocks_of(ccd_id)
        self.tpfs = self._find_tpfs()
        kinds = {(self.source_of(ccd_id), ccd_id.cadence) for ccd_id in self.ccds}
        self._grids = {kind: self._grid(*kind) for kind in kinds}
        self._fetching = [source for source, paths in lists.items() if paths]
        if self.lists_to_fetch:
            fetched = " and ".join(source.fetches for source in self._fetching)
            self.warnings.append(
                f"Which images there are is not known yet: this run only fetches {fetched}. "
                "After that, the same command knows the whole plan."
            )

    @property
    def rules(self) -> list[str]:
        """The files in ``workflow/rules`` that bring the pixels."""
        names = [name for source in self.sources for name in source.rules]
        if self.config["catalog"]["source"] == "simulated":
            names.insert(0, "simulate_scene.smk")
        return list(dict.fromkeys(names))

    def source_of(self, ccd_id: CcdId) -> Source:
        """Return where the pixels of a CCD come from."""
        return self.stamps if ccd_id.has_stamps and self.stamps is not None else self.source

    @property
    def image_ccds(self) -> list[CcdId]:
        """The CCDs that are measured in images, or cutouts of them."""
        return [ccd_id for ccd_id in self.ccds if not ccd_id.has_stamps]

    @property
    def stamp_ccds(self) -> list[CcdId]:
        """The CCDs, by cadence, that are measured in target pixel files."""
        return [ccd_id for ccd_id in self.ccds if ccd_id.has_stamps]

    def of_each_ccd(self, name: str) -> list[str]:
        """Return the path of a file in the folder of each CCD."""
        return [f"results/{ccd_id}/{name}" for ccd_id in self.ccds]

    @property
    def first_products(self) -> list[str]:
        """What this run makes and no more, as long as it is not known which images there are."""
        if self.lists_to_fetch:
            return self.lists_to_fetch
        tic_lists = [f"results/{ccd_id}/tic.fits" for ccd_id in self.image_ccds]
        return tic_lists if self.source.is_waiting else []

    @property
    def products(self) -> list[str]:
        """What the run makes in the end, and makes again where it was deleted.

        Of what leads there (blocks, cubes) only what something else needs is made again.
        """
        pictures = self.pictures if self.config["output"]["pictures"] else []
        report = [REPORT] if self.config["output"]["report"] else []
        wants_tables = self.config["output"]["parquet"]
        tables = self.of_each_ccd("lightcurves.parquet") if wants_tables else []
        joined = [JOINED] if self.config["output"]["joined"] else []
        wants_objects = self.config["photometry"]["moving"]
        objects = self.of_each_ccd("moving_objects") if wants_objects else []
        of_run = [SUMMARY, RECORD, TODO_LIST, *pictures, *report, *tables, *joined, *objects]
        return self.first_products or [*of_run, *self.of_each_ccd("todo.sqlite"), *self.measured]

    def products_up_to(self, stage: str) -> list[str]:
        """Return what a run makes of all CCDs up to one of `STAGES`, or ``photometry``."""
        if self.first_products:
            return self.first_products
        return self.measured if stage == "photometry" else self.of_each_ccd(STAGES[stage])

    @property
    def average_pictures(self) -> list[str]:
        """Pictures of the average image of each CCD; of cutouts, of all of them."""
        return [f"results/pictures/average_image_{ccd_id}.png" for ccd_id in self.ccds]

    @property
    def pictures(self) -> list[str]:
        """All pictures of the run."""
        return [*self.average_pictures, LIGHT_CURVE_PICTURE]

    @property
    def pages_of_ccds(self) -> list[str]:
        """Folders with the pages of each CCD in the report."""
        return [f"results/report/{ccd_id}" for ccd_id in self.ccds]

    @property
    def diagnostics(self) -> list[str]:
        """What is there once all stars are measured: of tiles, or of the listed stars."""
        if self.config["targets"]["tic_ids"]:
            return self.of_each_ccd("targets")
        return self._of_each_tile("diagnostics/{}.ecsv")

    @property
    def measured(self) -> list[str]:
        """What comes of the stars: `diagnostics` and, of tiles, the folders of light curves."""
        of_stars = bool(self.config["targets"]["tic_ids"])
        return self.diagnostics + ([] if of_stars else self._of_each_tile("lightcurves/{}"))

    def _of_each_tile(self, name: str) -> list[str]:
        return [
            f"results/{ccd_id}/{name.format(tile)}"
            for ccd_id in self.ccds
            for tile in self.tiles_of(ccd_id)
        ]

    def grid_of(self, ccd_id: CcdId) -> list[int]:
        """Return rows and columns of the grid of tiles of a CCD."""
        return self._grids[self.source_of(ccd_id), ccd_id.cadence]

    def tiles_of(self, ccd_id: CcdId) -> list[str]:
        """Return the tiles of a CCD with pixels in the window."""
        return tiles_in(self.window, self.grid_of(ccd_id))

    def photometry_of(self, ccd_id: CcdId, *names: str) -> dict[str, Any]:
        """Return ``photometry``, or those keys of it, with the grid of tiles of a CCD."""
        settings = self.config["photometry"] | {"tiles": self.grid_of(ccd_id)}
        return {name: settings[name] for name in names or settings}

    def light_curve_folders(self, ccd_id: CcdId) -> list[str]:
        """Return the folders with the light curves of a CCD: of tiles, or of the listed stars."""
        if self.config["targets"]["tic_ids"]:
            return [f"results/{ccd_id}/targets"]
        return [f"results/{ccd_id}/lightcurves/{tile}" for tile in self.tiles_of(ccd_id)]

    def images_of_block(self, ccd_id: CcdId, block: str) -> list[str]:
        """Return the images of a block of time."""
        blocks = self.source_of(ccd_id).blocks_of(ccd_id)
        if block not in blocks:
            raise ConfigError(f"{ccd_id} has no block {block}")
        return blocks[block]

    def block_files(self, ccd_id: CcdId) -> list[str]:
        """Return the files that the images of a CCD are read into."""
        return [
            f"results/{ccd_id}/blocks/{block}.hdf5"
            for block in self.source_of(ccd_id).blocks_of(ccd_id)
        ]

    def cutout_table(self, ccd_id: CcdId) -> list[str]:
        """Return the table of the cutouts, by whose WCS stars are placed; none for whole images."""
        has_cutouts = self.source_of(ccd_id).has_cutouts
        return [f"results/{ccd_id}/cutouts.ecsv"] if has_cutouts else []

    def outputs_beside_todo(self, ccd_ids: Sequence[CcdId]) -> dict[str, str]:
        """What else is written with a todo list: of cutouts, which stars have no light curve."""
        path = "results/{ccd_id}/not_measured.ecsv"
        has_cutouts = bool(ccd_ids) and self.source_of(ccd_ids[0]).has_cutouts
        return {"not_measured": path} if has_cutouts else {}

    @property
    def not_measured(self) -> list[str]:
        """The lists of stars without a light curve, of all CCDs; only cutouts have them."""
        return [
            f"results/{ccd_id}/not_measured.ecsv"
            for ccd_id in self.ccds
            if self.source_of(ccd_id).has_cutouts
        ]

    def prf_of_images(self, ccd_id: CcdId) -> list[str]:
        """Return the PRF of the same CCD in images, for target pixel files; none without images."""
        other = ccd_id.of_images
        return [f"results/{other}/prf.fits"] if other != ccd_id and other in self.ccds else []

    def star_list(self, ccd_id: CcdId) -> str:
        """Return the file that the catalog of a CCD is made from."""
        return star_list_of(self.config, ccd_id)

    def footprint_table(self, ccd_id: CcdId) -> str | list[str]:
        """Return the table of the images by whose WCS stars are downloaded, if not by pointing."""
        return f"results/{ccd_id}/ffis.ecsv" if self._footprint_from_images else []

    def footprint_cutouts(self, ccd_id: CcdId) -> str | list[str]:
        """Return the table of the cutouts on and around which stars are downloaded, if any."""
        is_by_cutouts = self.source_of(ccd_id).has_cutouts and self._footprint_from_images
        return f"results/{ccd_id}/cutouts.ecsv" if is_by_cutouts else []

    @property
    def _footprint_from_images(self) -> bool:
        return bool(self.config["catalog"]["footprint"] == "image")

    def tpfs_of(self, ccd_id: CcdId) -> list[str]:
        """Return the target pixel files that the images of a CCD get quality bits from."""
        return self.tpfs.get(ccd_id, [])

    def trends_file(self, ccd_id: CcdId) -> str | list[str]:
        """Return the trends of a CCD, where light curves are to be corrected for them."""
        is_wanted = self.config["photometry"]["correction"]["method"] == "trends"
        return f"results/{ccd_id}/trends.hdf5" if is_wanted else []

    @property
    def trends_files(self) -> list[str]:
        """The trends of all CCDs, where light curves are to be corrected for them."""
        are_wanted = self.ccds and self.trends_file(self.ccds[0])
        return self.of_each_ccd("trends.hdf5") if are_wanted else []

    def prf_files(self, ccd_id: CcdId) -> list[str]:
        """Return the mission's PRF files of a CCD, if they are to be used."""
        if self.config["prf"]["source"] != "spoc":
            return []
        from tessphot_lib.io.mission.prf_spoc import find_spoc_prf  # heavy

        folder = Path(self.config["prf"]["folder"]).expanduser()
        return [str(path) for path in find_spoc_prf(folder, ccd_id)]

    def ephemeris_files(self) -> list[str]:
        """Return the file that says where TESS was, if the configuration names one."""
        named = self.config["times"]["ephemeris"]
        return [str(Path(named).expanduser())] if named else []

    def moving_file(self, ccd_id: CcdId) -> str | list[str]:
        """Return the moving objects of a CCD, where any are looked for or predicted."""
        settings = self.config["moving"]
        is_wanted = settings["find"] or settings["ephemerides"] or settings["skybot"]
        return f"results/{ccd_id}/moving.ecsv" if is_wanted else []

    def skybot_file(self, ccd_id: CcdId) -> str | list[str]:
        """Return the ephemerides of SkyBoT for a CCD, where they are asked for."""
        return f"results/{ccd_id}/skybot.csv" if self.config["moving"]["skybot"] else []

    def transients_file(self, ccd_id: CcdId) -> str | list[str]:
        """Return the transients of a CCD, which are written with its moving objects."""
        return f"results/{ccd_id}/transients.ecsv" if self.moving_file(ccd_id) else []

    def object_ephemerides(self) -> list[str]:
        """Return the table of the positions of moving objects, if the configuration names one."""
        named = self.config["moving"]["ephemerides"]
        return [str(Path(named).expanduser())] if named else []

    def star_list_files(self) -> list[str]:
        """Return the files of ``todo.exclude`` and ``todo.methods``, if there are any."""
        return [str(path) for path in list_files(self.config["todo"])]

    def input_files(self) -> list[str]:
        """Return the files from outside that the run reads, and images that it downloads or makes.

        None as long as it is not known which images there are.
        """
        if self.first_products:
            return []
        images = [path for one in self.ccds for path in self.source_of(one).images_of(one)]
        stars = [self.star_list(ccd_id) for ccd_id in self.ccds]
        tpfs = [path for paths in self.tpfs.values() for path in paths]
        named = [*self.star_list_files(), *self.ephemeris_files(), *self.object_ephemerides()]
        return list(dict.fromkeys([*images, *tpfs, *stars, *named]))

    def ffi_tables_of(self, sector: int) -> list[str]:
        """Return the tables of the images, and of target pixel files, of all CCDs of a sector."""
        return [f"results/{ccd_id}/ffis.ecsv" for ccd_id in self.ccds if ccd_id.sector == sector]

    def settings(self, section: str, *names: str) -> dict[str, Any]:
        """Return those keys of a section that a step depends on."""
        return {name: self.config[section][name] for name in names}

    def memory(
        self, base: float, bytes_per_pixel: float = 0, bytes_per_block_pixel: float = 0
    ) -> Resource:
        """Return memory [MB] for a job on images of this run, as `resources.memory` does."""
        block_size = self.config["prepare"]["block_size"]
        return memory(base, self.window, block_size, bytes_per_pixel, bytes_per_block_pixel)

    def refuse_prefix(self, prefix: str) -> None:
        """Refuse a module's ``prefix`` for downloads: their lists are looked for without it.

        Raises
        ------
        ConfigError
            If images are to be downloaded by a module with a prefix.
        """
        if prefix and self.lists_to_fetch:
            raise ConfigError(
                f"{self._fetching[0].fetch_setting} does not go with the prefix {prefix!r} of a "
                "module; download in a run of its own, or leave out the prefix"
            )

    def keep_listings(self) -> None:
        """Keep what was found, for the processes of jobs."""
        for source in self.sources:
            source.keep_listing()
        if self.config["input"]["tpf_dir"]:
            write_tpf_listing(TPF_LISTING, self.tpfs)

    def _grid(self, source: Source, cadence: int) -> list[int]:
        """``photometry.tiles``, or what its null means: by the number of cutouts, if there are."""
        named: list[int] | None = self.config["photometry"]["tiles"]
        if named:
            return named
        if not source.has_cutouts or not source.is_known:
            return list(DEFAULT_GRID)
        counts = [
            len(source.images_of(ccd_id))
            for ccd_id in self.ccds
            if self.source_of(ccd_id) is source and ccd_id.cadence == cadence
        ]
        return grid_of_cutouts(max(counts), cadence)

    def _find_tpfs(self) -> dict[CcdId, list[str]]:
        """Target pixel files of the CCDs; only the main process searches for them."""
        folder = self.config["input"]["tpf_dir"]
        if folder is None or self.lists_to_fetch or not self.image_ccds:
            return {}
        if not self.is_main:
            return read_tpf_listing(TPF_LISTING)
        found = find_tpfs(Path(folder).expanduser(), self.image_ccds)
        without = [ccd_id for ccd_id in self.image_ccds if not found[ccd_id]]
        if without:
            self.warnings.append(
                f"input.tpf_dir: no target pixel file of {name_some(without)} in '{folder}'"
            )
        return found
