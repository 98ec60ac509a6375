# The end of a run: the merged todo list with all results, and the final check.


rule collect:
    input:
        todos=plan.of_each_ccd("todo.sqlite"),
        diagnostics=plan.diagnostics,
        trends=plan.trends_files,
    output:
        **({"cbvs": directory("results/cbv")} if plan.trends_files else {}),
        todo="results/todo.sqlite",
    log:
        "logs/collect.log",
    benchmark:
        "benchmarks/collect.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=growing(60),
    params:
        code=code_of("collect"),
    message:
        "todo list of the whole run, cotrending basis vectors"
    script:
        "../scripts/collect.py"


rule check:
    input:
        todo="results/todo.sqlite",
        not_measured=plan.not_measured,
        ffi_tables=plan.of_each_ccd("ffis.ecsv"),
        pixels=plan.of_each_ccd("pixels.hdf5"),
        prfs=plan.of_each_ccd("prf.fits"),
        list_checks=plan.of_each_ccd("list_check.ecsv"),
    output:
        summary=report(SUMMARY, caption="../report/summary.rst", category="Run"),
        record=RECORD,
    log:
        "logs/check.log",
    benchmark:
        "benchmarks/check.tsv"
    localrule: True
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=growing(30),
    params:
        tic_ids=config["targets"]["tic_ids"],
        began=str(BEGAN),
        ccds=list(map(str, plan.ccds)),
        code=code_of("check"),
    message:
        "final check: unexpected errors, summary of the run"
    script:
        "../scripts/check.py"


rule lightcurve_table:
    input:
        of_ccd(plan.light_curve_folders),
    output:
        "results/{ccd_id}/lightcurves.parquet",
    log:
        "logs/{ccd_id}/lightcurve_table.log",
    benchmark:
        "benchmarks/{ccd_id}/lightcurve_table.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=growing(30),
    params:
        code=code_of("lightcurve_table"),
    message:
        "{wildcards.ccd_id}: table of all light curves"
    script:
        "../scripts/lightcurve_table.py"


rule joined:
    input:
        todo="results/todo.sqlite",
        prfs=plan.of_each_ccd("prf.fits"),
    output:
        directory(JOINED),
    log:
        "logs/joined.log",
    benchmark:
        "benchmarks/joined.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=growing(60),
    params:
        tic_ids=config["targets"]["tic_ids"],
        origin=config["output"]["origin"],
        code=code_of("joined"),
    message:
        "joined light curves of the listed stars"
    script:
        "../scripts/joined.py"
