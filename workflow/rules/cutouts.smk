# TESScut cutouts instead of full-frame images: the counterparts of ffi_table and backgrounds.


rule cutout_table:
    input:
        cutouts=of_ccd(plan.source.images_of),
    output:
        cutouts="results/{ccd_id}/cutouts.ecsv",
        ffi_table="results/{ccd_id}/ffis.ecsv",
    log:
        "logs/{ccd_id}/cutout_table.log",
    benchmark:
        "benchmarks/{ccd_id}/cutout_table.tsv"
    wildcard_constraints:
        ccd_id=IMAGES,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=cutout_memory,
        runtime=growing(60),
    params:
        on_bad_image=config["input"]["on_bad_image"],
        code=code_of("cutout_table"),
    message:
        "{wildcards.ccd_id}: table of the cutouts"
    script:
        "../scripts/cutout_table.py"


rule cutouts:
    input:
        cutouts=of_ccd(plan.source.images_of),
        cutout_table="results/{ccd_id}/cutouts.ecsv",
        ffi_table="results/{ccd_id}/ffis.ecsv",
        catalog="results/{ccd_id}/catalog.sqlite",
    output:
        "results/{ccd_id}/blocks/cutouts.hdf5",
    log:
        "logs/{ccd_id}/cutouts.log",
    benchmark:
        "benchmarks/{ccd_id}/cutouts.tsv"
    wildcard_constraints:
        ccd_id=IMAGES,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=cutout_memory,
        runtime=growing(240),
    params:
        settings=plan.settings("prepare", "bad_quality", "compression_error", "average", "motion"),
        code=code_of("cutouts", "cutout_table"),
    message:
        "{wildcards.ccd_id}: pixels and backgrounds of the cutouts"
    script:
        "../scripts/cutouts.py"
