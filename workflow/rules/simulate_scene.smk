# A simulated sector: its stars.


rule simulate_scene:
    output:
        tic="results/{ccd_id}/tic.csv",
        truth="results/{ccd_id}/truth.hdf5",
    log:
        "logs/{ccd_id}/simulate_scene.log",
    benchmark:
        "benchmarks/{ccd_id}/simulate_scene.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=growing(30),
    params:
        window=plan.window.as_list(),
        settings=config["simulation"],
        faint_limit=config["catalog"]["faint_limit"],
        code=code_of("simulate_scene"),
    message:
        "{wildcards.ccd_id}: stars of the simulated sector"
    script:
        "../scripts/simulate_scene.py"
