"""The configuration of a run: what files and the command line say, merged and checked."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tessphot_lib.core.config_check import check_fits, follow_other_settings, read_values
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.renamed_keys import combined
from tessphot_lib.io.stars.star_lists import read_excluded, read_methods
from tessphot_lib.plan.checks import check_config
from tessphot_lib.plan.lists import with_lists


def read_config(
    given: Iterable[tuple[str, Mapping[str, Any]]], schema: Mapping[str, Any], *, is_main: bool
) -> tuple[dict[str, Any], list[str]]:
    """Merge what files and the command line say; the main process also checks it.

    Parameters
    ----------
    given : iterable of (str, mapping)
        The defaults, the user's files and the command line, the last one goes
        first: where it stands, and what it says.
    schema : mapping
        ``workflow/schemas/config.schema.yaml``.
    is_main : bool
        Whether this is Snakemake's main process.

    Returns
    -------
    config : dict
        The complete configuration: values instead of texts, lists instead of files of stars.
    warnings : list of str
        A line for each key that is given by an old name, or has an empty list that means all.

    Raises
    ------
    TessphotError
        If anything is wrong with it, or with the lists of stars that it names.
    """
    given = list(given)
    merged, warnings = combined(given)
    config = read_values(merged, schema)  # --config gives texts where numbers are meant
    follow_other_settings(config)
    if is_main:
        try:
            check_config(config, schema)
        except ConfigError as error:  # it names keys as they are now
            raise ConfigError("\n".join([str(error), *warnings])) from None
        read_excluded(config["todo"]["exclude"])
        check_fits(config, set(read_methods(config["todo"]["methods"]).values()))
        warnings += _empty_lists(given[1:], config)
    return with_lists(config), warnings


def _empty_lists(
    given: Iterable[tuple[str, Mapping[str, Any]]], config: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a line if somebody has written an empty list of stars, which means all."""
    if config["targets"]["tic_ids"]:
        return
    for origin, values in given:
        targets = values.get("targets")
        if isinstance(targets, Mapping) and targets.get("tic_ids") == []:
            yield f"targets.tic_ids: empty in {origin}: all stars of the todo list are measured"
