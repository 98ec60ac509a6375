# Download of target pixel files from MAST: snakemake ... -- fetch_tpfs


rule fetch_tpfs:
    output:
        plan.stamps.list_path,
    log:
        "logs/fetch_tpfs.log",
    benchmark:
        "benchmarks/fetch_tpfs.tsv"
    localrule: True
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=growing(240),
        downloads=1,
    params:
        folder=config["input"]["tpf_dir"],
        tpfs=config["input"]["tpfs"],
        sectors=config["sectors"],
    message:
        "target pixel files of the targets from MAST"
    script:
        "../scripts/fetch_tpfs.py"
