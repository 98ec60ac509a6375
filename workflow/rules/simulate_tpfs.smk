# A simulated sector: its target pixel files, those of a CCD and cadence in a folder.


rule simulate_tpfs:
    output:
        directory("simulated/{ccd_id}"),
    log:
        "logs/{ccd_id}/simulate_tpfs.log",
    benchmark:
        "benchmarks/{ccd_id}/simulate_tpfs.tsv"
    wildcard_constraints:
        ccd_id=STAMPS,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=growing(120),
    params:
        window=plan.window.as_list(),
        settings=config["simulation"],
        faint_limit=config["catalog"]["faint_limit"],
        code=code_of("simulate_tpfs"),
    message:
        "{wildcards.ccd_id}: simulated target pixel files"
    script:
        "../scripts/simulate_tpfs.py"
