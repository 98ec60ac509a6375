"""A run over cutouts in one process: the steps that the workflow's rules call, one by one.

The same functions with the same settings in the same order as in ``workflow/rules``, so the
same files with the same numbers; ``tests/get/test_engine.py`` compares them. For a
few cutouts this takes a fifth of the time, since each job of the workflow imports the package
and Snakemake again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import (
    CatalogSettings,
    Configuration,
    OutputSettings,
    PhotometrySettings,
    PrepareSettings,
)
from tessphot_lib.core.tiles import grid_of_cutouts, tiles_in
from tessphot_lib.steps.average_image import run_average_image
from tessphot_lib.steps.catalog import run_catalog
from tessphot_lib.steps.check import run_check
from tessphot_lib.steps.collect import run_collect
from tessphot_lib.steps.cutout_table import run_cutout_table
from tessphot_lib.steps.cutouts import run_cutouts
from tessphot_lib.steps.hdf5 import run_hdf5
from tessphot_lib.steps.jitter import run_jitter
from tessphot_lib.steps.moving import run_moving
from tessphot_lib.steps.moving_photometry import run_moving_photometry
from tessphot_lib.steps.photometry import run_photometry
from tessphot_lib.steps.prf import run_prf
from tessphot_lib.steps.skybot import run_skybot
from tessphot_lib.steps.spacecraft import run_spacecraft
from tessphot_lib.steps.targets import run_targets
from tessphot_lib.steps.tic import run_tic
from tessphot_lib.steps.todo import run_todo
from tessphot_lib.steps.trends import run_trends

# What the rules pass of a section to a step, so that products record the same settings.
PARAMS = {
    "tic": ("source", "buffer", "faint_limit"),
    "catalog": ("buffer", "faint_limit"),
    "cutouts": ("bad_quality", "compression_error", "average", "motion"),
    "jitter": ("bad_quality", "flags"),
    "average_image": ("bad_quality", "background", "average"),
    "todo": ("method", "tiles", "aperture", "auto", "transients"),
    "trends": ("aperture", "correction"),
    "targets": ("version", "origin", "hlsp"),
}


class Engine:
    """The steps over the cutouts of some CCDs.

    Parameters
    ----------
    folder : Path
        Of the run: all files are made in ``results`` there.
    cutouts : mapping of CcdId to sequence of Path
        The cutouts of each CCD.
    config : mapping
        A complete configuration. Stars are read from ``catalog.file`` if ``catalog.source``
        is ``file``, else downloaded; ``targets.tic_ids`` are measured, all stars if there are none.
    """

    def __init__(
        self, folder: Path, cutouts: Mapping[CcdId, Sequence[Path]], config: Mapping[str, Any]
    ) -> None:
        self.results = folder / "results"
        self.cutouts = {ccd_id: list(cutouts[ccd_id]) for ccd_id in sorted(cutouts)}
        n_cutouts = max(map(len, self.cutouts.values()), default=0)
        tiles = config["photometry"]["tiles"] or grid_of_cutouts(n_cutouts)
        self.config = {**config, "photometry": {**config["photometry"], "tiles": tiles}}
        self.settings = Configuration.from_mapping(self.config)

    def run(self) -> None:
        """Make everything, as ``snakemake all`` does; the first error ends it."""
        for ccd_id in self.cutouts:
            self.list_images(ccd_id)
        for sector in sorted({ccd_id.sector for ccd_id in self.cutouts}):
            self.find_spacecraft(sector)
        for ccd_id in self.cutouts:
            self.measure(ccd_id)
        self.finish(list(self.cutouts))

    def ccd_folder(self, ccd_id: CcdId) -> Path:
        """Return the folder of a CCD; it is made if need be."""
        folder = self.results / str(ccd_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def list_images(self, ccd_id: CcdId) -> None:
        """Read the headers of the cutouts of a CCD: ``cutouts.ecsv`` and ``ffis.ecsv``."""
        folder = self.ccd_folder(ccd_id)
        run_cutout_table(
            self.cutouts[ccd_id],
            folder / "cutouts.ecsv",
            folder / "ffis.ecsv",
            ccd_id,
            on_bad_image=self.settings.input.on_bad_image,
        )

    def find_spacecraft(self, sector: int) -> None:
        """Find where TESS was, from the images of all CCDs of a sector."""
        ephemeris = self.settings.times.ephemeris
        run_spacecraft(
            [self.ccd_folder(one) / "ffis.ecsv" for one in self.cutouts if one.sector == sector],
            self._spacecraft(sector),
            sector,
            ephemeris=Path(ephemeris).expanduser() if ephemeris else None,
        )

    def star_list(self, ccd_id: CcdId) -> Path:
        """Return the list of the stars around the cutouts of a CCD; downloaded if need be."""
        settings = self.config["catalog"]
        if settings["source"] == "file":
            return Path(settings["file"]).expanduser()
        folder = self.ccd_folder(ccd_id)
        names = (*PARAMS["tic"], "cache")
        run_tic(
            folder / "ffis.ecsv",
            folder / "tic.fits",
            ccd_id,
            settings=CatalogSettings.from_params(_part(settings, names)),
            window=Window(),
            cutouts=folder / "cutouts.ecsv",
        )
        return folder / "tic.fits"

    def measure(self, ccd_id: CcdId) -> None:
        """Make the light curves of a CCD whose images have been listed."""
        self._prepare(ccd_id)
        self._photometry(ccd_id)

    def finish(self, ccd_ids: Sequence[CcdId]) -> None:
        """Join the todo lists of CCDs that have been measured, and check them.

        Raises
        ------
        TessphotError
            If an unexpected error hit any star.
        """
        folders = [self.ccd_folder(ccd_id) for ccd_id in ccd_ids]
        tic_ids = self.settings.targets.tic_ids
        todo = self.results / "todo.sqlite"
        tables = [
            folder / "targets" if tic_ids else folder / "diagnostics" / f"{tile}.ecsv"
            for folder in folders
            for tile in ([""] if tic_ids else self.tiles)
        ]
        trends = [folder / "trends.hdf5" for folder in folders] if self._has_trends else []
        run_collect(
            [folder / "todo.sqlite" for folder in folders],
            tables,
            todo,
            trends=trends,
            cbvs=self.results / "cbv" if trends else None,
        )
        run_check(
            todo,
            self.results / "summary.txt",
            self.results / "run.json",
            tic_ids=tic_ids,
            not_measured=[folder / "not_measured.ecsv" for folder in folders],
            ffi_tables=[folder / "ffis.ecsv" for folder in folders],
            pixels=[folder / "pixels.hdf5" for folder in folders],
            prfs=[folder / "prf.fits" for folder in folders],
            list_checks=[folder / "list_check.ecsv" for folder in folders],
            config=self.config,
        )

    @property
    def tiles(self) -> list[str]:
        """The tiles that all stars are measured by."""
        return tiles_in(Window(), self.settings.photometry.tiles)

    @property
    def _has_trends(self) -> bool:
        return self.settings.photometry.correction.method == "trends"

    def _spacecraft(self, sector: int) -> Path:
        return self.results / f"spacecraft_sector{sector}.ecsv"

    def _catalog(self, ccd_id: CcdId) -> None:
        """``catalog.sqlite``."""
        folder = self.ccd_folder(ccd_id)
        run_catalog(
            folder / "ffis.ecsv",
            self.star_list(ccd_id),
            folder / "catalog.sqlite",
            ccd_id,
            settings=CatalogSettings.from_params(_part(self.config["catalog"], PARAMS["catalog"])),
            window=Window(),
            cutouts=folder / "cutouts.ecsv",
        )

    def _prepare(self, ccd_id: CcdId) -> None:
        """From the headers of the cutouts to ``pixels.hdf5``."""
        self._catalog(ccd_id)
        folder, prepare = self.ccd_folder(ccd_id), self.config["prepare"]
        blocks = [folder / "blocks" / "cutouts.hdf5"]
        catalog, average, jitter = (
            folder / name for name in ("catalog.sqlite", "average_image.fits", "jitter.ecsv")
        )
        blocks[0].parent.mkdir(exist_ok=True)

        def part(step: str) -> PrepareSettings:
            return PrepareSettings.from_params(_part(prepare, PARAMS[step]))

        run_cutouts(
            folder / "cutouts.ecsv",
            folder / "ffis.ecsv",
            catalog,
            blocks[0],
            ccd_id,
            settings=part("cutouts"),
        )
        run_jitter(blocks, jitter, ccd_id, settings=part("jitter"))
        foreign_light = folder / "foreign_light.hdf5"
        run_average_image(
            blocks,
            catalog,
            jitter,
            average,
            ccd_id,
            foreign_light=foreign_light,
            settings=part("average_image"),
        )
        run_hdf5(
            blocks,
            ccd_id,
            average_image=average,
            foreign_light=foreign_light,
            jitter=jitter,
            catalog=catalog,
            spacecraft=self._spacecraft(ccd_id.sector),
            output=folder / "pixels.hdf5",
            settings=self.settings.prepare,
        )

    def _photometry(self, ccd_id: CcdId) -> None:
        """From ``pixels.hdf5`` to light curves."""
        folder, photometry = self.ccd_folder(ccd_id), self.config["photometry"]
        files = CcdFiles.in_folder(folder)
        checks = {name: folder / f"{name}.ecsv" for name in ("list_check", "unlisted")}
        run_prf(
            files.pixels,
            files.catalog,
            files.prf,
            ccd_id,
            list_check=checks["list_check"],
            unlisted=checks["unlisted"],
            settings=self.settings.prf,
        )
        appeared = self._moving(files, ccd_id)
        run_todo(
            ccd_id,
            pixels=files.pixels,
            catalog=files.catalog,
            prf=files.prf,
            output=files.todo,
            settings=self.settings.todo,
            photometry=PhotometrySettings.from_params(_part(photometry, PARAMS["todo"])),
            list_check=checks["list_check"],
            unlisted=checks["unlisted"],
            transients=appeared["transients"],
            cutouts=folder / "cutouts.ecsv",
            not_measured=folder / "not_measured.ecsv",
        )
        files = CcdFiles.in_folder(folder, **appeared, trends=None)
        if self._has_trends:
            settings = PhotometrySettings.from_params(_part(photometry, PARAMS["trends"]))
            run_trends(files, ccd_id, output=folder / "trends.hdf5", settings=settings)
            files = CcdFiles.in_folder(folder, **appeared)
        output = OutputSettings.from_params(_part(self.config["output"], PARAMS["targets"]))
        options = {"settings": self.settings.photometry, "output_settings": output}
        if self.settings.photometry.moving and files.moving is not None:
            run_moving_photometry(
                files.pixels,
                files.prf,
                files.moving,
                folder / "moving_objects",
                ccd_id,
                output_settings=output,
            )
        if tic_ids := self.settings.targets.tic_ids:
            run_targets(files, ccd_id, output=folder / "targets", tic_ids=tic_ids, **options)
            return
        (folder / "lightcurves").mkdir(exist_ok=True)
        for tile in self.tiles:
            run_photometry(
                files,
                ccd_id,
                light_curves=folder / "lightcurves" / tile,
                diagnostics=folder / "diagnostics" / f"{tile}.ecsv",
                tile=tile,
                threads=1,
                **options,
            )

    def _moving(self, files: CcdFiles, ccd_id: CcdId) -> dict[str, Path | None]:
        """``moving.ecsv`` and ``transients.ecsv``, where any are looked for or predicted."""
        settings, names = self.settings.moving, ("moving", "transients")
        if not (settings.find or settings.ephemerides or settings.skybot):
            return dict.fromkeys(names)
        folder = self.ccd_folder(ccd_id)
        skybot = folder / "skybot.csv" if settings.skybot else None
        if skybot is not None and not skybot.is_file():
            run_skybot(folder / "ffis.ecsv", files.catalog, skybot, ccd_id)
        outputs = {name: folder / CcdFiles.names()[name] for name in names}
        run_moving(
            files.pixels,
            files.prf,
            outputs["moving"],
            ccd_id,
            catalog=files.catalog,
            transients=outputs["transients"],
            unlisted=folder / CcdFiles.names()["unlisted"],
            settings=settings,
            ephemerides=Path(settings.ephemerides).expanduser() if settings.ephemerides else None,
            skybot=skybot,
        )
        return dict(outputs)


def _part(section: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return some keys of a section of the configuration."""
    return {name: section[name] for name in names}
