# Images from MAST: their list, their headers, and the images themselves, one job per block of
# time. Download settings (connections, retries, ...) are not params of the rules, so changing
# them does not repeat any download.


# Local, since the nodes of a cluster often have no network access.
rule fetch_script:
    output:
        "results/tesscurl_sector_{sector}_ffic.sh",
    log:
        "logs/fetch_script_{sector}.log",
    benchmark:
        "benchmarks/fetch_script_{sector}.tsv"
    localrule: True
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=growing(30),
        downloads=1,
    message:
        "sector {wildcards.sector}: MAST's list of all images"
    script:
        "../scripts/fetch_script.py"


rule list_images:
    input:
        scripts=of_ccd(plan.source.bulk_scripts_of),
    output:
        "results/{ccd_id}/ffi_list.csv",
    log:
        "logs/{ccd_id}/fetch_list.log",
    benchmark:
        "benchmarks/{ccd_id}/fetch_list.tsv"
    localrule: True
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=growing(30),
        downloads=1,
    params:
        origin=config["input"]["mast"]["from"],
    message:
        "{wildcards.ccd_id}: list of the images at MAST"
    script:
        "../scripts/fetch_list.py"


rule fetch_headers:
    input:
        ffi_list=ancient("results/{ccd_id}/ffi_list.csv"),
    output:
        "results/{ccd_id}/ffi_headers.zip",
    log:
        "logs/{ccd_id}/fetch_headers.log",
    benchmark:
        "benchmarks/{ccd_id}/fetch_headers.tsv"
    localrule: True
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=growing(120),
        downloads=1,
    params:
        images=of_ccd(plan.source.images_of),
    message:
        "{wildcards.ccd_id}: headers of the images at MAST"
    script:
        "../scripts/fetch_headers.py"


# Snakemake needs the names of all output images: hence one rule for each block of time.
for ccd_id, block, images in plan.source.blocks_to_fetch(plan.image_ccds):

    rule:
        name:
            f"fetch_{str(ccd_id).replace('-', '_')}_{block}"
        input:
            ffi_list=ancient(f"results/{ccd_id}/ffi_list.csv"),
        output:
            images=[kept_or_temporary(image) for image in images],
        log:
            f"logs/{ccd_id}/fetch_{block}.log",
        benchmark:
            f"benchmarks/{ccd_id}/fetch_{block}.tsv"
        # Images are read before more are downloaded, to save disk space.
        priority: -1
        localrule: True
        conda:
            "../../environment.yaml"
        resources:
            mem_mb=memory(1000),
            runtime=growing(240),
            downloads=1,
        message:
            f"{ccd_id}: images of {block} from MAST"
        script:
            "../scripts/fetch.py"


# Targets: snakemake ... -- fetch_list, snakemake ... -- fetch


rule fetch_list:
    input:
        [plan.source.list_of(ccd_id) for ccd_id in plan.image_ccds],


rule fetch:
    input:
        [image for _, _, images in plan.source.blocks_to_fetch(plan.image_ccds) for image in images],
