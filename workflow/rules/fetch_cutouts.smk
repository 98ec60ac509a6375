# Download of cutouts of the targets from TESScut: snakemake ... -- fetch_cutouts


rule fetch_cutouts:
    output:
        plan.source.list_path,
    log:
        "logs/fetch_cutouts.log",
    benchmark:
        "benchmarks/fetch_cutouts.tsv"
    localrule: True
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=growing(240),
        downloads=1,
    params:
        folder=config["input"]["cutout_dir"],
        targets=config["input"]["cutouts"]["targets"],
        size=config["input"]["cutouts"]["size"],
        asked={name: config[name] for name in ("sectors", "cameras", "ccds")},
    message:
        "cutouts of the targets from TESScut"
    script:
        "../scripts/fetch_cutouts.py"
