"""The files that the stars of a CCD are measured from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

OPTIONAL = ("trends", "list_check", "unlisted", "moving", "transients")


@dataclass(frozen=True, kw_only=True)
class CcdFiles:
    """What is known of a CCD when its stars are measured, as paths.

    They are built from names, by `in_folder` or `of_inputs`, so that no two of them
    can be swapped. One more file is one more field, with its name in the folder of a CCD,
    and an input of the rules.
    """

    pixels: Path = field(metadata={"name": "pixels.hdf5"})
    catalog: Path = field(metadata={"name": "catalog.sqlite"})
    todo: Path = field(metadata={"name": "todo.sqlite"})
    prf: Path = field(metadata={"name": "prf.fits"})
    list_check: Path | None = field(default=None, metadata={"name": "list_check.ecsv"})
    unlisted: Path | None = field(default=None, metadata={"name": "unlisted.ecsv"})
    moving: Path | None = field(default=None, metadata={"name": "moving.ecsv"})
    transients: Path | None = field(default=None, metadata={"name": "transients.ecsv"})
    trends: Path | None = field(default=None, metadata={"name": "trends.hdf5"})

    @classmethod
    def names(cls) -> dict[str, str]:
        """Names of the files in the folder of a CCD, by field."""
        return {one.name: one.metadata["name"] for one in fields(cls)}

    @classmethod
    def in_folder(cls, folder: Path, **elsewhere: Path | None) -> Self:
        """Take all from the folder of a CCD.

        Parameters
        ----------
        folder : Path
            Such as ``results/s0014-cam1-ccd1``.
        **elsewhere : Path or None
            Files that lie elsewhere, or shall not count, by field. Without it those of
            `OPTIONAL` are those of the folder, None where there is none.
        """
        paths: dict[str, Any] = {name: folder / file for name, file in cls.names().items()}
        for name in OPTIONAL:
            if not paths[name].is_file():
                paths[name] = None
        return cls(**(paths | elsewhere))

    @classmethod
    def of_inputs(cls, inputs: Mapping[str, Any]) -> Self:
        """Take those among the inputs of a job that have the names of the fields.

        Parameters
        ----------
        inputs : mapping
            ``snakemake.input``; those of `OPTIONAL` may be missing or empty.

        Raises
        ------
        TypeError
            If another one is missing.
        """
        given = {one.name: inputs.get(one.name) for one in fields(cls)}
        return cls(**{name: Path(path) for name, path in given.items() if path})

    def paths(self) -> list[Path]:
        """All that there are, in the order of the fields."""
        every = (getattr(self, one.name) for one in fields(self))
        return [path for path in every if path is not None]
