# What the rules share: the CCDs, images, blocks and tiles of this run, and names of files.
# No jobs here, and no photometry.
import functools
import hashlib
import json
import os
import sys
import time

import yaml
from snakemake.common.configfile import load_configfile

# The scripts import tessphot_lib, which lies beside workflow/, installed or not.
PROJECT = Path(workflow.basedir).parent
sys.path.insert(0, str(PROJECT))
os.environ.update(
    PYTHONPATH=os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
)

from tessphot_lib.core.config_check import (
    STAR_SERVICES,
    check_config,
    check_fits,
    stars_before_images,
    read_values,
    ffi_folder,
    ffi_folder_origin,
)
from tessphot_lib.core.errors import ConfigError, TessphotError
from tessphot_lib.core.renamed_keys import combined
from tessphot_lib.io.files.atomic import remove_partials
from tessphot_lib.plan.cluster_jobs import cancel_recorded_jobs, cancel_slurm_jobs
from tessphot_lib.io.images.cutout_files import find_cutouts
from tessphot_lib.io.images.ffi_files import (
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
from tessphot_lib.io.stars.star_lists import list_files, read_excluded, read_methods
from tessphot_lib.io.images.tpf_files import find_tpfs, read_tpf_listing, write_tpf_listing
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.provenance import code_digest
from tessphot_lib.simulation.schedule import ffi_names
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.core.tiles import tiles_in

CACHE = Path(".snakemake/tessphot/ffis")
STARTED = time.time()
BEGAN = Path(".snakemake/tessphot/began")
TPF_CACHE = Path(".snakemake/tessphot/tpfs.json")


def stop(error):
    """End with a message in place of a traceback, before any job."""
    logger.error(f"error: {error}")
    sys.exit(1)


def given_configs():
    """The default configuration, the user's files and the command line, and what each says."""
    files = [PROJECT / "config" / "config.yaml", *workflow.overwrite_configfiles]
    given = [(str(file), load_configfile(file)) for file in files]
    return [*given, ("--config", workflow.config_settings.config)]


def ccds_with_images():
    """The CCDs of this run; of those in the configuration that have images at all."""
    asked = [
        CcdId(sector, camera, ccd)
        for sector in config["sectors"]
        for camera in config["cameras"]
        for ccd in config["ccds"]
    ]
    if config["input"]["source"] in ("simulated", "mast") or cutouts_to_fetch():
        return asked
    if not workflow.is_main_process:
        listed = listed_ccds(CACHE)
        with_images = [ccd_id for ccd_id in asked if ccd_id in listed]
        return with_images if with_images or not stars_before_images(config) else asked
    is_cut = config["input"]["source"] == "tesscut"
    folder = Path(config["input"]["cutout_dir"]).expanduser() if is_cut else ffi_folder(config)
    may_wait = stars_before_images(config) and not folder.is_dir()
    found = {} if may_wait else find_cutouts(folder) if is_cut else find_ffis(folder)
    with_images = [ccd_id for ccd_id in asked if ccd_id in found]
    if not found and stars_before_images(config):
        logger.warning("there are no images yet: this run only fetches the lists of stars")
        return asked
    if not with_images:
        raise ConfigError(
            f"{'input.cutout_dir' if is_cut else ffi_folder_origin(config)}: no image of {name_some(asked)} in '{folder}'"
            + (f"; there are images of {name_some(list(found))}" if found else ", nor of any CCD")
        )
    if len(with_images) < len(asked):
        without = [ccd_id for ccd_id in asked if ccd_id not in found]
        logger.warning(f"left out, no images in '{folder}': {name_some(without)}")
    if is_cut and set(found) - set(asked):
        others = name_some(sorted(set(found) - set(asked)))
        logger.warning(f"not asked for by sectors, cameras and ccds: the cutouts of {others}")
    FOUND.update(found)
    return with_images


def no_images_yet():
    """Tell whether this run is there for the lists of stars only."""
    is_waiting = config["input"]["source"] in ("ffi", "tesscut") and stars_before_images(config)
    return is_waiting and workflow.is_main_process and not FOUND


def name_some(ccd_ids, most=4):
    """Name a few CCDs, and count the others."""
    names = ", ".join(str(ccd_id) for ccd_id in ccd_ids[:most])
    return names if len(ccd_ids) <= most else f"{names} and {len(ccd_ids) - most} more"


@functools.cache
def ffis_of(ccd_id):
    """All image files of a CCD, in order of time. Jobs do not search the folder again."""
    ccd_id = CcdId.from_string(ccd_id)
    if config["input"]["source"] == "simulated":
        names = ffi_names(ccd_id, SimulationSettings.from_mapping(config["simulation"]))
        return [
            FfiFile(parse_ffi_name(name)[1], f"simulated/{ccd_id}/{name}", False) for name in names
        ]
    if config["input"]["source"] == "mast":
        return ffis_at_mast(ccd_id)
    if ccd_id in FOUND:
        return FOUND[ccd_id]
    return read_listing(CACHE, ccd_id)


@functools.cache
def blocks_of(ccd_id):
    """Images of each block of time of a CCD; cutouts make one block."""
    if config["input"]["source"] == "tesscut":
        return {"cutouts": [cutout.path for cutout in ffis_of(ccd_id)]}
    return group_in_blocks(ffis_of(ccd_id), config["prepare"]["block_size"])


def simulated_blocks():
    """Images of each sector and block, with wildcards for camera and CCD."""
    if config["input"]["source"] != "simulated":
        return
    for sector in config["sectors"]:
        for block, images in blocks_of(str(CcdId(sector, 1, 1))).items():
            names = [image.replace("-cam1-ccd1/", "-cam{camera}-ccd{ccd}/") for image in images]
            yield sector, block, [
                name.replace(f"-s{sector:04d}-1-1-", f"-s{sector:04d}-{{camera}}-{{ccd}}-")
                for name in names
            ]


def ffis_at_mast(ccd_id):
    """Image files of a CCD as they will be after the download, from the list of `fetch_list`."""
    path = Path(list_at_mast(ccd_id))
    if not path.exists():
        raise WorkflowError(f"{path} is not there yet: run snakemake ... -- fetch_list first")
    wanted = config["input"]["mast"]["time_range"]
    listed = read_ffi_list(path)
    ffis = as_files(listed, ffi_folder(config) / str(ccd_id), wanted)
    if not ffis:
        stamps = [ffi.stamp for ffi in as_files(listed, Path(), None)]
        raise ConfigError(
            f"input.mast.time_range: no image of {ccd_id} from {wanted[0]} to {wanted[1]}; "
            f"there are some from {name_btjd(stamps[0]):.3f} to {name_btjd(stamps[-1]):.3f}"
        )
    return ffis


def list_at_mast(ccd_id):
    return f"results/{ccd_id}/ffi_list.csv"


def list_of_cutouts():
    """What `fetch_cutouts` writes: another file when other cutouts are wanted."""
    names = ("sectors", "cameras", "ccds")
    wanted = [config["input"]["cutouts"], *(config[name] for name in names)]
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return f"results/cutouts_{digest[:8]}.csv"


def cutouts_to_fetch():
    """That file, as long as it is not there."""
    is_wanted = config["input"]["source"] == "tesscut" and config["input"]["cutouts"]["targets"]
    return [list_of_cutouts()] if is_wanted and not Path(list_of_cutouts()).exists() else []


def fetched_blocks():
    """Images of each CCD and block that are to be downloaded, once their list is there."""
    if config["input"]["source"] != "mast" or LISTS_TO_FETCH:
        return
    for ccd_id in CCD_IDS:
        for block, images in blocks_of(ccd_id).items():
            yield ccd_id, block, images


def kept_or_temporary(path):
    return path if config["input"]["keep_ffis"] else temp(path)


def tpfs_by_ccd():
    """Target pixel files of the CCDs of this run; only the main process searches for them."""
    folder = config["input"]["tpf_dir"]
    if folder is None:
        return {}
    if not workflow.is_main_process:
        return read_tpf_listing(TPF_CACHE)
    ccd_ids = [CcdId.from_string(ccd_id) for ccd_id in CCD_IDS]
    found = find_tpfs(Path(folder).expanduser(), ccd_ids)
    without = [ccd_id for ccd_id in ccd_ids if not found[ccd_id]]
    if without:
        logger.warning(f"input.tpf_dir: no target pixel file of {name_some(without)} in '{folder}'")
    return found


# Functions of the wildcards, for input: and params:


def images_of_ccd(wildcards):
    return [ffi.path for ffi in ffis_of(wildcards.ccd_id)]


def images_of_block(wildcards):
    try:
        return blocks_of(wildcards.ccd_id)[wildcards.block]
    except KeyError:
        raise WorkflowError(f"{wildcards.ccd_id} has no block {wildcards.block}") from None


def block_files(wildcards):
    ccd_id = wildcards.ccd_id
    return [f"results/{ccd_id}/blocks/{block}.hdf5" for block in blocks_of(ccd_id)]


def bulk_script(wildcards):
    """MAST's list of the images of a sector; none where the cloud is asked."""
    if config["input"]["mast"]["from"] == "cloud":
        return []
    sector = CcdId.from_string(wildcards.ccd_id).sector
    return [f"results/tesscurl_sector_{sector}_ffic.sh"]


def images_here(wildcards):
    """Images to read the headers of; none where the headers come first."""
    return [] if config["input"]["source"] == "mast" else images_of_ccd(wildcards)


def headers_of_ccd(wildcards):
    """Headers of images that are not here yet."""
    if config["input"]["source"] != "mast":
        return []
    return [f"results/{wildcards.ccd_id}/ffi_headers.zip"]


def spacecraft_of(wildcards):
    """Where TESS was during the sector of a CCD."""
    return f"results/spacecraft_sector{CcdId.from_string(wildcards.ccd_id).sector}.ecsv"


def ffi_tables_of_sector(wildcards):
    return [
        f"results/{ccd_id}/ffis.ecsv"
        for ccd_id in CCD_IDS
        if CcdId.from_string(ccd_id).sector == int(wildcards.sector)
    ]


def ephemeris_file(wildcards):
    """The file that tells where TESS was, if the configuration names one."""
    named = config["times"]["ephemeris"]
    return [str(Path(named).expanduser())] if named else []


def star_list_files(wildcards):
    """The files of ``todo.exclude`` and ``todo.methods``, if there are any."""
    return [str(path) for path in list_files(config["todo"])]


def cutout_table_of(wildcards):
    """The table of the cutouts, by whose WCS stars are placed; none for whole images."""
    if config["input"]["source"] != "tesscut":
        return []
    return [f"results/{wildcards.ccd_id}/cutouts.ecsv"]


def trends_file(wildcards):
    """What quiet stars have in common, where light curves are to be corrected for it."""
    if config["photometry"]["correction"]["method"] != "trends":
        return []
    return f"results/{wildcards.ccd_id}/trends.hdf5"


def tpfs_of_ccd(wildcards):
    """Target pixel files that the images of a CCD get quality bits from."""
    return TPFS.get(CcdId.from_string(wildcards.ccd_id), [])


def prf_files(wildcards):
    """The mission's PRF files of a CCD, if they are to be used."""
    if config["prf"]["source"] != "spoc":
        return []
    from tessphot_lib.io.mission.prf_spoc import find_spoc_prf  # not worth its time elsewhere

    folder = Path(config["prf"]["folder"]).expanduser()
    try:
        return [str(path) for path in find_spoc_prf(folder, CcdId.from_string(wildcards.ccd_id))]
    except TessphotError as error:
        raise WorkflowError(str(error)) from None


def star_list(wildcards):
    """The file that the catalog is made from."""
    if config["catalog"]["source"] == "simulated":
        return f"results/{wildcards.ccd_id}/tic.csv"
    if config["catalog"]["source"] in STAR_SERVICES:
        return f"results/{wildcards.ccd_id}/tic.fits"
    return str(Path(config["catalog"]["file"]).expanduser())


def code_of(*steps):
    """A digest of the code behind steps, so that jobs run again when that changes."""
    return lambda wildcards: " ".join(code_digest(f"tessphot_lib.steps.{step}") for step in steps)


def growing(amount):
    """Memory or time for a job; more for a second and third attempt (see --retries)."""
    return lambda wildcards, attempt: int(amount * 1.5 ** (attempt - 1))


def memory(base, bytes_per_pixel=0, bytes_per_block_pixel=0):
    """Memory [MB] from the pixels of the window, once and for each image of a block."""
    n_pixels = WINDOW.shape[0] * WINDOW.shape[1]
    n_bytes = bytes_per_pixel + bytes_per_block_pixel * config["prepare"]["block_size"]
    return growing(base + int(n_pixels * n_bytes / 1e6))


def cutout_memory(wildcards, input, attempt):
    """Memory [MB] for the largest cutout, which is held several times."""
    sizes = [
        Path(cutout).stat().st_size * (2 if cutout.endswith(".gz") else 1)
        for cutout in input.cutouts
        if Path(cutout).exists()
    ]
    return growing(1500 + int(5e-6 * max(sizes, default=0)))(wildcards, attempt)


def catalog_settings(*names):
    """Some of the keys of ``catalog``."""
    return {name: config["catalog"][name] for name in names}


def prepare_settings(*names):
    """Some of the keys of ``prepare``: those that a step depends on."""
    return {name: config["prepare"][name] for name in names}


def photometry_settings(*names):
    """Some of the keys of ``photometry``."""
    return {name: config["photometry"][name] for name in names}


# At the start and at the end of a run


def cancel_jobs_from_before():
    """End what a run that was killed has left on a cluster: it would write the same files."""
    asked = workflow.executor_settings
    commands = getattr(asked, "status_cmd", None), getattr(asked, "cancel_cmd", None)
    try:
        jobs = cancel_slurm_jobs(Path()) + cancel_recorded_jobs(Path(), *commands)
    except TessphotError as error:
        stop(error)
    if jobs:
        logger.warning(f"cancelled, left on the cluster by an earlier run: {', '.join(jobs)}")


def note_the_time():
    """For the record of the run, which a job writes."""
    BEGAN.parent.mkdir(parents=True, exist_ok=True)
    BEGAN.write_text("")


def keep_list_of_images():
    """Keep what was found, for the processes of jobs."""
    if FOUND:
        write_listing(CACHE, FOUND)
    if config["input"]["tpf_dir"]:
        write_tpf_listing(TPF_CACHE, TPFS)


def remove_leftovers():
    """Remove files that jobs were writing when they were killed."""
    remove_partials(Path("results"), depth=3)


def set_aside_images():
    """Keep images of incomplete blocks from Snakemake, which deletes what a job makes again."""
    for ccd_id, block, images in fetched_blocks():
        if not Path(f"results/{ccd_id}/blocks/{block}.hdf5").exists():
            set_aside([Path(image) for image in images])


def show_summary():
    if LISTS_TO_FETCH:
        logger.info("Now the images are known: the same command again does the rest.")
        return
    summary = Path(RUN_SUMMARY)
    if summary.exists():
        logger.info(summary.read_text().rstrip())


def show_where_logs_are():
    """Say again what went wrong: the lines scroll away under Snakemake's own."""
    logs = [path for path in Path("logs").rglob("*.log") if path.stat().st_mtime > STARTED]
    lines = [line for path in logs for line in path.read_text(errors="replace").splitlines()]
    errors = dict.fromkeys(line.split(" error: ", 1)[1] for line in lines if " error: " in line)
    for error in list(errors)[:10]:
        logger.error(f"error: {error}")
    logger.error(
        f"Something failed: see above, and the log of each job under {Path('logs').resolve()}. "
        "Once mended, the same command goes on from there."
    )


schema = yaml.safe_load(Path(workflow.basedir, "schemas", "config.schema.yaml").read_text())
try:
    given, renamed_keys = combined(given_configs())
except ConfigError as error:
    stop(error)
config.clear()
config.update(read_values(given, schema))  # --config gives texts where numbers are meant
for line in renamed_keys if workflow.is_main_process else []:
    logger.warning(line)
if workflow.is_main_process:
    try:
        check_config(config, schema)
        read_excluded(config["todo"]["exclude"])
        check_fits(config, set(read_methods(config["todo"]["methods"]).values()))
    except TessphotError as error:
        stop(error)

FOUND = {}
WINDOW = Window.from_config(config["input"]["window"])
try:
    CCD_IDS = [str(ccd_id) for ccd_id in ccds_with_images()]
    MAST_LISTS = [list_at_mast(ccd_id) for ccd_id in CCD_IDS if config["input"]["source"] == "mast"]
    LISTS_TO_FETCH = [path for path in MAST_LISTS if not Path(path).exists()] or cutouts_to_fetch()
    is_known = not (no_images_yet() or LISTS_TO_FETCH)
    for ccd_id in CCD_IDS if workflow.is_main_process and is_known else []:
        blocks_of(ccd_id)  # so that a file name that makes no sense is told here
except TessphotError as error:
    stop(error)

TPFS = tpfs_by_ccd()
TILES = tiles_in(WINDOW, config["photometry"]["tiles"])
DIAGNOSTICS = (
    expand("results/{ccd_id}/targets", ccd_id=CCD_IDS)
    if config["targets"]["tic_ids"]
    else expand("results/{ccd_id}/diagnostics/{tile}.ecsv", ccd_id=CCD_IDS, tile=TILES)
)
NOT_MEASURED = (
    {"not_measured": "results/{ccd_id}/not_measured.ecsv"}
    if config["input"]["source"] == "tesscut"
    else {}
)
FOOTPRINT_FROM = (
    {}
    if config["catalog"]["footprint"] == "pointing"
    else {"ffi_table": ancient("results/{ccd_id}/ffis.ecsv")}
    | (
        {"cutouts": "results/{ccd_id}/cutouts.ecsv"}
        if config["input"]["source"] == "tesscut"
        else {}
    )
)
PRODUCT_SETTINGS = {name: config["output"][name] for name in ("version", "origin")}
RUN_SUMMARY = "results/summary.txt"
RUN_RECORD = "results/run.json"
PICTURES = {
    "average": "results/pictures/average_image.png",
    "light_curve": "results/pictures/light_curve.png",
}
RUN_PRODUCTS = (
    [RUN_SUMMARY, RUN_RECORD, *(PICTURES.values() if config["output"]["pictures"] else [])]
    if not no_images_yet()
    else expand("results/{ccd_id}/tic.fits", ccd_id=CCD_IDS)
)
if LISTS_TO_FETCH:
    RUN_PRODUCTS = LISTS_TO_FETCH
    if workflow.is_main_process:
        logger.warning(
            "Which images there are is not known yet: this run only fetches "
            + (
                "the cutouts (rule fetch_cutouts)"
                if cutouts_to_fetch()
                else "their lists (rule fetch_list)"
            )
            + ". After that, the same command knows the whole plan."
        )


wildcard_constraints:
    ccd_id="|".join(CCD_IDS),
    camera="[1-4]",
    ccd="[1-4]",
    block=r"b\d{7}",
    tile=r"r\d+c\d+",
    tic_id=r"[1-9]\d*",
    sector=r"[1-9]\d*",
