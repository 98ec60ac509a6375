# What the rules share: the plan of this run, and functions that give rules their inputs.
# All that is decided is decided in tessphot_lib/plan. No jobs here, and no photometry.
import os
import sys

from snakemake.common.configfile import load_configfile

# The scripts import tessphot_lib, which lies beside workflow/, installed or not. (The main
# Snakefile may lie elsewhere and use this as a module; from a URL the package must be installed.)
HERE = Path(str(workflow.current_basedir))
PROJECT = HERE.parent.parent
IS_MODULE = not workflow.modifier.is_main_snakefile()
PREFIX = workflow.modifier.path_modifier.prefix or ""


def of_project(name):
    """Return the path of a file of this project, which may have to be fetched."""
    if HERE.is_dir():
        return PROJECT / name
    return Path(workflow.source_path(f"../../{name}"))


sys.path.insert(0, str(PROJECT))
# Files are complete before they have their names; locks fail on some network file systems.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
os.environ.update(
    PYTHONPATH=os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
)

from tessphot_lib.core.errors import TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import rule_digest
from tessphot_lib.io.files.yaml_files import read_yaml
from tessphot_lib.plan.ancient import look_behind_ancient
from tessphot_lib.plan.config import read_config
from tessphot_lib.plan.folders import output_folder, with_paths_from
from tessphot_lib.plan.outlook import outlook
from tessphot_lib.plan.progress import follow
from tessphot_lib.plan.resources import cutout_memory, growing
from tessphot_lib.plan.run import (
    JOINED,
    LIGHT_CURVE_PICTURE,
    RECORD,
    REPORT,
    SUMMARY,
    Plan,
)
from tessphot_lib.plan.session import BEGAN, Session
from tessphot_lib.plan.unfinished import lost_files


def or_stop(decide, *arguments, **options):
    """Decide something; where that fails, end with a message instead of a traceback."""
    try:
        return decide(*arguments, **options)
    except TessphotError as error:
        sys.stderr.write(f"error: {error}\n")  # with `--quiet all`, too
        sys.exit(1)


schema = load_configfile(of_project("workflow/schemas/config.schema.yaml"))
defaults = of_project("config/config.yaml")
given = [(str(defaults), load_configfile(defaults))]
if IS_MODULE:
    given.append(("config of the module", dict(config)))
else:
    for file in workflow.overwrite_configfiles:
        if workflow.is_main_process:
            or_stop(read_yaml, Path(file))  # of a key that is there twice Snakemake says nothing
        given.append((str(file), load_configfile(file)))
    given.append(("--config", workflow.config_settings.config))
checked, warnings = or_stop(read_config, given, schema, is_main=workflow.is_main_process)
output = None if IS_MODULE else output_folder(workflow.overwrite_workdir)
if IS_MODULE:
    # Absolute, so that the prefix of a module is not put before it; and not changed, since it
    # belongs to the workflow that uses this one.
    config = with_paths_from(checked, Path.cwd())
else:
    config.clear()
    config.update(with_paths_from(checked, Path.cwd()) if output else checked)


if output:

    workdir: output


if workflow.is_main_process and not IS_MODULE:
    follow(logger)
look_behind_ancient(lost_files() if workflow.is_main_process else ())
plan = or_stop(Plan, config, is_main=workflow.is_main_process)
session = Session(plan)
if IS_MODULE and workflow.is_main_process:
    or_stop(plan.refuse_prefix, PREFIX)
    plan.keep_listings()  # the start of a run is not said to a module
memory = plan.memory
notes, needs = or_stop(outlook, plan) if workflow.is_main_process else ([], [])
for warning in [*warnings, *plan.warnings, *needs] if workflow.is_main_process else []:
    logger.warning(warning)
for note in notes:
    logger.info(note)


def any_of(ccd_ids):
    """Return a pattern of the names of CCDs."""
    return "|".join(f"{ccd_id}(?![-\\w])" for ccd_id in ccd_ids) or "none"


IMAGES = any_of(plan.image_ccds)
STAMPS = any_of(plan.stamp_ccds)


wildcard_constraints:
    ccd_id=any_of(sorted({*plan.ccds, *(ccd_id.of_images for ccd_id in plan.ccds)})),
    camera="[1-4]",
    ccd="[1-4]",
    block=r"b\d{7}",
    tile=r"r\d+c\d+",
    tic_id=r"[1-9]\d*",
    sector=r"[1-9]\d*",


def of_ccd(decide):
    """Return a function of the wildcards from one of the plan that takes a CCD."""

    def of_wildcards(wildcards):
        try:
            return decide(CcdId.from_string(wildcards.ccd_id))
        except TessphotError as error:
            raise WorkflowError(str(error)) from None

    return of_wildcards


def photometry_of(*names):
    """Return a function of the wildcards: those of the settings, or all, with the CCD's tiles."""
    return of_ccd(lambda ccd_id: plan.photometry_of(ccd_id, *names))


def listed_images(wildcards):
    """Images as a job finds them: with the prefix of a module, if they are made below it."""
    images = of_ccd(plan.source.images_of)(wildcards)
    return [image if os.path.isabs(image) else f"{PREFIX}{image}" for image in images]


def images_of_block(wildcards):
    return of_ccd(lambda ccd_id: plan.images_of_block(ccd_id, wildcards.block))(wildcards)


def spacecraft_of(wildcards):
    return f"results/spacecraft_sector{CcdId.from_string(wildcards.ccd_id).sector}.ecsv"


def ffi_tables_of_sector(wildcards):
    return plan.ffi_tables_of(int(wildcards.sector))


def code_of(*steps):
    """A digest of the code behind steps and their scripts, so that jobs run again with it."""
    scripts = [of_project(f"workflow/scripts/{step}.py") for step in steps]
    return lambda wildcards: " ".join(map(rule_digest, steps, scripts))


def kept_or_temporary(path):
    return path if config["input"]["keep_ffis"] else temp(path)
