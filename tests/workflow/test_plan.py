"""Dry runs: the whole plan is known before the first job, and mistakes are told at once."""

import re
import subprocess
import sys

import pytest
import yaml
from configurations import ONE_STAR
from paths import PROJECT

CCD = "s0014-cam1-ccd1"
DEMO = yaml.safe_load((PROJECT / "config" / "demo.yaml").read_text())


def jobs(output):
    table = output[output.index("Job stats:") :].split("\ntotal")[0]
    counted = re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)
    return {name: int(count) for name, count in counted}


def test_demo_is_planned_without_data(snakemake, tmp_path):
    status, output = snakemake("-n", config=DEMO)
    assert status == 0, output
    plan = jobs(output)
    simulated = {name for name in plan if name.startswith("simulate_s0014_b")}
    assert len(simulated) == plan["backgrounds"]
    assert 3 <= len(simulated) <= 5
    assert {name: plan[name] for name in ("ffi_table", "tile_photometry", "pictures", "check")} == {
        "ffi_table": 1,
        "tile_photometry": 4,
        "pictures": 1,
        "check": 1,
    }
    assert not (tmp_path / "run" / "results").exists()


@pytest.mark.parametrize("flag", ["--dag", "--rulegraph", "--summary", "--lint"])
def test_other_views_of_the_plan(snakemake, flag):
    status, output = snakemake(flag, config=DEMO)
    assert status == 0, output


@pytest.mark.parametrize("profile", ["default", "slurm", "cluster-generic"])
def test_dates_of_scripts_make_nothing_run_again(profile):
    """A second clone has new dates; the digests in the params cover the scripts."""
    path = PROJECT / "workflow" / "profiles" / profile / "config.yaml"
    triggers = yaml.safe_load(path.read_text())["rerun-triggers"]
    assert set(triggers) == {"mtime", "params", "input", "software-env"}


@pytest.mark.parametrize("profile", ["slurm", "cluster-generic"])
@pytest.mark.parametrize("source", ["file", "mast", "pointing", "simulated"])
def test_groups_of_the_profiles_fit_every_source(snakemake, images, sector14, profile, source):
    """A group must not wait for a job outside that waits for another one inside."""
    images(20)
    config = DEMO if source == "simulated" else sector14
    if source == "mast":
        config["catalog"] = {"source": "mast"}
    if source == "pointing":
        pytest.importorskip("tesswcs", reason="the extra `pointings` is not installed")
        config["catalog"] = {"source": "mast", "footprint": "pointing"}
    path = PROJECT / "workflow" / "profiles" / profile / "config.yaml"
    groups = yaml.safe_load(path.read_text())["groups"]
    status, output = snakemake("-n", "--groups", *groups, config=config)
    assert status == 0, output
    assert set(jobs(output)) >= {name.split("=")[0] for name in groups}


def test_listed_stars_take_the_place_of_tiles(snakemake):
    option = "targets={tic_ids: [1234, 99]}"
    status, output = snakemake("-n", "--config", option, config=DEMO)
    assert status == 0, output
    plan = jobs(output)
    assert plan["targets"] == 1
    assert "tile_photometry" not in plan


def test_images_in_folders_of_several_ccds(snakemake, images, sector14):
    images(12, ccd=1)
    images(12, ccd=3)
    images(5, sector=15)
    sector14["ccds"] = [1, 2, 3]
    sector14["input"]["window"] = None
    status, output = snakemake("-n", config=sector14)
    assert status == 0, output
    assert "left out, no images in '../ffi': s0014-cam1-ccd2" in output
    plan = jobs(output)
    assert (plan["ffi_table"], plan["backgrounds"], plan["tile_photometry"]) == (2, 4, 128)


def test_folder_from_the_environment(snakemake, images, sector14, tmp_path):
    images(3, folder="elsewhere")
    sector14["input"]["ffi_dir"] = None
    status, output = snakemake("-n", config=sector14, TESSPHOT_INPUT=str(tmp_path / "elsewhere"))
    assert status == 0, output
    status, output = snakemake("-n", config=sector14)
    assert status == 1
    assert "error: 1 error in the configuration:\n" in output
    assert "the default: there is no folder 'data/ffi'" in output


@pytest.mark.parametrize(
    ("stage", "last", "not_made"),
    [
        ("catalog", {"ccd_catalog": 2}, {"backgrounds", "hdf5"}),
        ("prepare", {"hdf5": 2}, {"prf", "ccd_todo"}),
        ("todo", {"ccd_todo": 2}, {"trends", "tile_photometry"}),
        ("photometry", {"tile_photometry": 8}, {"collect", "check"}),
    ],
)
def test_stages_are_targets(snakemake, images, sector14, stage, last, not_made):
    images(12, ccd=1)
    images(12, ccd=3)
    sector14["ccds"] = [1, 3]
    status, output = snakemake("-n", stage, config=sector14)
    assert status == 0, output
    plan = jobs(output)
    assert plan.items() >= (last | {"ffi_table": 2, stage: 1}).items()
    assert not_made.isdisjoint(plan)
    assert "all" not in plan


def test_results_go_to_a_folder_from_the_environment(
    snakemake, images, sector14, project, tmp_path
):
    """Paths of the configuration are meant from the current folder as ever."""
    images(3)
    (tmp_path / "tic.csv").write_text(ONE_STAR)
    sector14["input"]["ffi_dir"] = "ffi"
    sector14["catalog"]["file"] = "tic.csv"
    catalog = f"results/{CCD}/catalog.sqlite"
    call = {"config": sector14, "project": project, "with_directory": False}
    status, output = snakemake("--cores", "1", catalog, TESSPHOT_OUTPUT="scratch/out", **call)
    assert status == 0, output
    out = tmp_path / "scratch" / "out"
    assert {path.name for path in out.iterdir()} == {"results", "logs", "benchmarks", ".snakemake"}
    assert (out / catalog).is_file()
    assert f"PosixPath('{tmp_path}/tic.csv')" in (out / "logs" / CCD / "catalog.log").read_text()
    status, output = snakemake("-n", catalog, TESSPHOT_OUTPUT="scratch/out", **call)
    assert "Nothing to be done" in output

    # The process of a job on a node is started in the same folder, with the same variable.
    as_a_job = ["--mode", "remote", "--target-jobs", f"ffi_table:ccd_id={CCD}"]
    as_a_job += ["--allowed-rules", "ffi_table", "--force", "--nolock", "--no-hooks"]
    (out / "results" / CCD / "ffis.ecsv").unlink()
    variables = {"TESSPHOT_OUTPUT": "scratch/out"}
    status, output = snakemake("--cores", "1", *as_a_job, **call, **variables)
    assert status == 0, output
    assert (out / "results" / CCD / "ffis.ecsv").is_file()


def test_directory_comes_before_the_environment(snakemake, images, sector14, tmp_path):
    images(3)
    there = str(tmp_path / "scratch")
    status, output = snakemake("-n", "catalog", config=sector14, TESSPHOT_OUTPUT=there)
    assert status == 0, output
    assert not (tmp_path / "scratch").exists()


def test_no_image_of_the_ccd_is_one_line(snakemake, images, sector14):
    images(2, camera=4, ccd=2)
    status, output = snakemake("-n", config=sector14)
    assert status == 1
    expected = "error: input.ffi_dir: no image of s0014-cam1-ccd1 in '../ffi'; there are images of"
    assert f"\n{expected} s0014-cam4-ccd2\n" in output
    assert "Traceback" not in output


def test_empty_folder_is_one_line(snakemake, sector14, tmp_path):
    (tmp_path / "ffi").mkdir()
    status, output = snakemake("-n", config=sector14)
    assert status == 1
    said = "no image of s0014-cam1-ccd1 in '../ffi', nor any other files of TESS"
    assert f"error: input.ffi_dir: {said}" in output


def test_mistakes_are_told_before_any_job(snakemake, sector14):
    sector14["cameras"] = [1, 5]
    sector14["input"]["windo"] = [1, 2, 3, 4]
    status, output = snakemake("-n", config=sector14)
    assert status == 1
    assert (
        "\nerror: 2 errors in the configuration:\n"
        "cameras[1]: 5 must be at most 4\n"
        "input.windo: unknown key; did you mean input.window?\n"
    ) in output
    assert "Traceback" not in output


def test_reading_the_workflow_is_light():
    """What the workflow imports of ours brings none of the heavy libraries."""
    heavy = {"astropy", "h5py", "pandas", "scipy", "matplotlib", "photutils"}
    common = (PROJECT / "workflow" / "rules" / "common.smk").read_text()
    ours = re.findall(r"^from tessphot_lib\S* import (?:\([^)]*\)|.*)$", common, flags=re.MULTILINE)
    assert len(ours) > 5
    program = "\n".join([*ours, "import sys", f"print(sorted({heavy} & set(sys.modules)))"])
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"
