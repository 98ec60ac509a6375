"""The workflow with steps that make empty files: what runs, and what runs again."""

import re
import shutil

import pytest
import yaml
from paths import PROJECT

CCD = "s0014-cam1-ccd1"
AT_THE_END = ("collect", "check", "ccd_report", "report", "all")
AFTER_A_BLOCK = {
    "average_image": 1,
    "jitter": 1,
    "spacecraft": 1,
    "hdf5": 1,
    "prf": 1,
    "moving": 1,
    "ccd_todo": 1,
    "trends": 1,
    "tile_photometry": 4,
    "collect": 1,
    "check": 1,
    "ccd_report": 1,
    "report": 1,
    "all": 1,
}


def jobs(output):
    """Jobs that Snakemake counts: rule to number; none: nothing to be done."""
    if "Job stats:" not in output:
        assert "Nothing to be done" in output, output
        return {}
    table = output[output.index("Job stats:") :].split("\ntotal")[0]
    counted = re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)
    return {name: int(count) for name, count in counted}


@pytest.fixture
def project(finished, tmp_path):
    """Copy of a finished run, and of the project that made it."""
    shutil.copytree(finished[0], tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "project"


@pytest.fixture
def sector14(project, finished):
    return yaml.safe_load((finished[0] / "user.yaml").read_text())


@pytest.fixture
def plan(project, snakemake, sector14):
    """Count the jobs of a dry run."""

    def call(config=sector14):
        status, output = snakemake("-n", config=config, project=project)
        assert status == 0, output
        return jobs(output)

    return call


def test_run_from_start_to_end(finished, plan, tmp_path, snakemake, sector14, project):
    run = tmp_path / "run"
    assert jobs(finished[1]) == {"ffi_table": 1, "ccd_catalog": 1, "backgrounds": 3} | AFTER_A_BLOCK
    assert "from tessphot_lib.steps.check" in finished[1]  # the summary, on the terminal
    assert plan() == {}

    # What the steps were called with is in the logs.
    log = (run / "logs" / CCD / "photometry_r0c1.log").read_text()
    assert f"PosixPath('results/{CCD}/pixels.hdf5')" in log
    assert "CcdId(sector=14, camera=1, ccd=1" in log
    assert "'tile': 'r0c1'" in log
    assert "'output_settings': OutputSettings(version=1, origin='TASOC/Aarhus', hlsp=" in log
    catalog = (run / "logs" / CCD / "catalog.log").read_text()
    table = (run / "logs" / CCD / "ffi_table.log").read_text()
    assert table.count("_ffic.fits") == 20
    assert "Window(row0=100, row1=300, column0=200, column1=500)" in catalog
    assert (run / "benchmarks" / CCD / "todo.tsv").is_file()

    # One star asked for by its path.
    star = f"results/{CCD}/stars/tic1234.fits.gz"
    status, output = snakemake("--cores", "1", star, config=sector14, project=project)
    assert (status, jobs(output)) == (0, {"lightcurve": 1})
    assert "'tic_id': 1234" in (run / "logs" / CCD / "lightcurve_1234.log").read_text()


@pytest.mark.parametrize(
    ("deleted", "again"),
    [
        (f"{CCD}/lightcurves/r0c1", {"tile_photometry": 1}),
        (f"{CCD}/lightcurves", {"tile_photometry": 4}),
        (f"{CCD}/diagnostics/r0c0.ecsv", {"tile_photometry": 1}),
        ("todo.sqlite", {}),
        (CCD, {"ffi_table": 1, "ccd_catalog": 1, "backgrounds": 3} | AFTER_A_BLOCK),
    ],
)
def test_deleted_results_are_made_again(plan, tmp_path, deleted, again):
    path = tmp_path / "run" / "results" / deleted
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert plan() == again | dict.fromkeys(AT_THE_END, 1)


def test_what_nothing_needs_any_more_may_be_deleted(plan, tmp_path):
    for name in ("blocks", "pixels.hdf5", "prf.fits"):
        path = tmp_path / "run" / "results" / CCD / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert plan() == {}


def test_another_image_changes_its_own_block_only(plan, images):
    images(1, first=20)
    assert plan() == {"ffi_table": 1, "backgrounds": 1} | AFTER_A_BLOCK


def test_another_image_and_another_setting_at_the_same_time(plan, images, sector14):
    images(1, first=20)
    sector14["prepare"]["background"] = {"box_size": 32}
    assert plan() == {"ffi_table": 1, "backgrounds": 3} | AFTER_A_BLOCK


def test_image_taken_away_changes_its_own_block_only(plan, tmp_path):
    sorted((tmp_path / "ffi").rglob("*.fits"))[3].unlink()
    assert plan() == {"ffi_table": 1, "backgrounds": 1} | AFTER_A_BLOCK


@pytest.mark.parametrize(
    ("section", "change", "again"),
    [
        (
            "todo",
            {"faint_limit": 14.0},
            {"ccd_todo", "trends", "tile_photometry", *AT_THE_END},
        ),
        ("output", {"version": 2}, {"tile_photometry", *AT_THE_END}),
        (
            "prepare",
            {"block_size": 8, "motion": {"n_stars": 100}},
            {"backgrounds"} | set(AFTER_A_BLOCK) - {"spacecraft"},
        ),
        ("simulation", {"seed": 2}, set()),
    ],
)
def test_setting_reruns_what_depends_on_it(plan, sector14, section, change, again):
    assert set(plan(config=sector14 | {section: change})) == again


def test_setting_is_not_forgotten_when_its_job_fails(plan, sector14, snakemake, project):
    """Snakemake deletes the outputs of a failed job, and nothing needs them that is there."""
    sector14["prf"] = {"n_stars": 77}
    step = project / "tessphot_lib" / "steps" / "prf.py"
    source = step.read_text()
    step.write_text(
        source.replace("    for arg in", "    raise OSError('no space')\n    for arg in")
    )
    again = plan(config=sector14)
    assert again["prf"] == 1
    status, output = snakemake("--cores", "1", config=sector14, project=project)
    assert status == 1
    step.write_text(source)
    assert plan(config=sector14) == again
    status, output = snakemake("--cores", "1", config=sector14, project=project)
    assert status == 0, output
    assert plan(config=sector14) == {}


def test_ephemeris_reruns_what_depends_on_it(plan, sector14, tmp_path, snakemake, project):
    (tmp_path / "tess.bsp").touch()
    sector14["times"] = {"ephemeris": "../tess.bsp"}
    again = {
        "spacecraft",
        "hdf5",
        "prf",
        "moving",
        "ccd_todo",
        "trends",
        "tile_photometry",
        *AT_THE_END,
    }
    assert set(plan(config=sector14)) == again
    wanted = "results/spacecraft_sector14.ecsv"
    status, output = snakemake("--cores", "1", wanted, config=sector14, project=project)
    assert status == 0, output
    log = (tmp_path / "run" / "logs" / "spacecraft_sector14.log").read_text()
    assert "called with ([PosixPath('results/s0014-cam1-ccd1/ffis.ecsv')], " in log
    assert "14) {'ephemeris': PosixPath('../tess.bsp')}" in log


def test_list_of_stars_is_checked_and_reruns_the_todo_list(
    plan, sector14, tmp_path, snakemake, project
):
    again = {"ccd_todo", "trends", "tile_photometry", *AT_THE_END}
    for methods in ({7: "psf"}, "../methods.csv"):
        (tmp_path / "methods.csv").write_text("tic_id,method\n7,psf\n")
        assert set(plan(config=sector14 | {"todo": {"methods": methods}})) == again
    named = sector14 | {"todo": {"methods": "../methods.csv"}}
    status, output = snakemake("--cores", "1", config=named, project=project)
    assert status == 0, output
    assert plan(config=named) == {}
    (tmp_path / "methods.csv").write_text("tic_id,method\n7,halo\n")
    assert set(plan(config=named)) == again
    (tmp_path / "methods.csv").write_text("tic_id,method\n7,sum\n")
    status, output = snakemake("-n", config=named)
    assert status != 0
    assert "todo.methods: ../methods.csv, line 2: method 'sum' of TIC 7 must be one of" in output
    assert "Traceback" not in output


def test_target_pixel_files_rerun_the_images_of_their_ccd(
    plan, sector14, tmp_path, snakemake, project
):
    folder = tmp_path / "tpf" / "below"
    folder.mkdir(parents=True)
    header = "".join(f"{card:80}" for card in ("SECTOR  = 14", "CAMERA  = 1", "CCD     = 1", "END"))
    name = "tess2019198215352-s0014-0000000000000007-0150-s_tp.fits"
    (folder / name).write_text(header)
    (folder / name.replace("s0014", "s0015")).write_text(header.replace("14", "15"))
    sector14["input"]["tpf_dir"] = "../tpf"
    assert plan(config=sector14) == {"ffi_table": 1, "backgrounds": 3} | AFTER_A_BLOCK
    table = f"results/{CCD}/ffis.ecsv"
    status, output = snakemake("--cores", "1", table, config=sector14, project=project)
    assert status == 0, output
    log = (tmp_path / "run" / "logs" / CCD / "ffi_table.log").read_text()
    assert f"'tpfs': [PosixPath('../tpf/below/{name}')]" in log
    (folder / name).write_text(header.replace("CCD     = 1", "CCD     = 2"))
    _, output = snakemake("-n", config=sector14)
    assert "no target pixel file of s0014-cam1-ccd1 in '../tpf'" in output


def test_code_reruns_what_depends_on_it(plan, project):
    stage = project / "tessphot_lib" / "steps" / "todo.py"
    source = stage.read_text()
    for old, new in (
        ("import logging\n", "import logging  # to say something\n\n# A comment.\n"),
        ('"""Stand-in for a stage', '"""Another docstring'),
        ('return "nothing"', 'return "something"'),  # no step reaches this
    ):
        assert source.count(old) == 1
        source = source.replace(old, new)
    stage.write_text(source)
    assert plan() == {}
    stage.write_text(source.replace("called with %s", "called as %s"))
    assert set(plan()) == {"ccd_todo", "trends", "tile_photometry", *AT_THE_END}


def test_script_reruns_its_rule_but_not_by_its_comments(plan, project):
    (project / "workflow").unlink()
    shutil.copytree(PROJECT / "workflow", project / "workflow")
    script = project / "workflow" / "scripts" / "todo.py"
    source = script.read_text()
    script.write_text(f"# A comment.\n{source}\n# And another.\n")
    assert plan() == {}
    assert source.count("None,\n") > 1
    script.write_text(source.replace("None,\n", "False,\n"))
    assert set(plan()) == {"ccd_todo", "trends", "tile_photometry", *AT_THE_END}


def test_job_on_a_node_does_not_search_for_images(images, snakemake, sector14, project):
    """The process of a job reads the list that the main process has kept."""
    images(1, first=20)
    as_a_job = ["--mode", "remote", "--target-jobs", f"ffi_table:ccd_id={CCD}"]
    as_a_job += ["--allowed-rules", "ffi_table", "--force", "--nolock", "--no-hooks"]
    status, output = snakemake("--cores", "1", *as_a_job, config=sector14, project=project)
    assert status == 0, output
    log = project.parent / "run" / "logs" / CCD / "ffi_table.log"
    assert log.read_text().count("_ffic.fits") == 20


def test_failed_job_says_so_in_one_line(project, snakemake, sector14, tmp_path):
    (project / "tessphot_lib" / "steps" / "catalog.py").write_text(
        "from tessphot_lib.core.errors import InputDataError\n"
        "def run_catalog(*args, **kwargs):\n"
        "    raise InputDataError('tic.csv: no column Tmag')\n"
    )
    status, output = snakemake("--cores", "1", config=sector14, project=project)
    assert status == 1
    assert "\nerror: tic.csv: no column Tmag\n" in output
    assert "Traceback" not in output
    assert f"log of each job under {tmp_path}/run/logs" in output
    log = (tmp_path / "run" / "logs" / CCD / "catalog.log").read_text()
    assert log.endswith("ERROR tessphot: error: tic.csv: no column Tmag\n")
