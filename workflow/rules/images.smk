# Full-frame images: their table, and the only step that reads their pixels.


rule ffi_table:
    input:
        images=of_ccd(plan.source.images_here),
        headers=of_ccd(plan.source.headers_of),
        tpfs=of_ccd(plan.tpfs_of),
    output:
        "results/{ccd_id}/ffis.ecsv",
    log:
        "logs/{ccd_id}/ffi_table.log",
    benchmark:
        "benchmarks/{ccd_id}/ffi_table.tsv"
    wildcard_constraints:
        ccd_id=IMAGES,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=growing(120),
    params:
        images=listed_images,
        window=plan.window.as_list(),
        on_bad_image=config["input"]["on_bad_image"],
        code=code_of("ffi_table"),
    message:
        "{wildcards.ccd_id}: table of the images"
    script:
        "../scripts/ffi_table.py"


rule backgrounds:
    input:
        images=images_of_block,
        # Bad files are reported before the long jobs; ancient(): a new image redoes only its block.
        ffi_table=ancient("results/{ccd_id}/ffis.ecsv"),
        # The quality flags of the target pixel files come with ffis.ecsv.
        tpfs=of_ccd(plan.tpfs_of),
        catalog="results/{ccd_id}/catalog.sqlite",
    output:
        "results/{ccd_id}/blocks/{block}.hdf5",
    log:
        "logs/{ccd_id}/backgrounds_{block}.log",
    benchmark:
        "benchmarks/{ccd_id}/backgrounds_{block}.tsv"
    wildcard_constraints:
        ccd_id=IMAGES,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000, bytes_per_pixel=200, bytes_per_block_pixel=9),
        runtime=growing(120),
    params:
        window=plan.window.as_list(),
        settings=plan.settings(
            "prepare", "bad_quality", "compression_error", "background", "average", "motion"
        ),
        on_bad_image=config["input"]["on_bad_image"],
        code=code_of("backgrounds", "ffi_table"),
    message:
        "{wildcards.ccd_id}: images and backgrounds of {wildcards.block}"
    script:
        "../scripts/backgrounds.py"
