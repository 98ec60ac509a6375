# Target pixel files beside, or instead of, images: the counterparts of ffi_table and backgrounds.


rule stamp_table:
    input:
        tpfs=of_ccd(plan.stamps.images_of),
    output:
        stamps="results/{ccd_id}/cutouts.ecsv",
        ffi_table="results/{ccd_id}/ffis.ecsv",
    log:
        "logs/{ccd_id}/stamp_table.log",
    benchmark:
        "benchmarks/{ccd_id}/stamp_table.tsv"
    wildcard_constraints:
        ccd_id=STAMPS,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=growing(60),
    params:
        on_bad_image=config["input"]["on_bad_image"],
        code=code_of("stamp_table"),
    message:
        "{wildcards.ccd_id}: table of the target pixel files"
    script:
        "../scripts/stamp_table.py"


rule stamps:
    input:
        tpfs=of_ccd(plan.stamps.images_of),
        stamp_table="results/{ccd_id}/cutouts.ecsv",
        ffi_table="results/{ccd_id}/ffis.ecsv",
        catalog="results/{ccd_id}/catalog.sqlite",
    output:
        "results/{ccd_id}/blocks/stamps.hdf5",
    log:
        "logs/{ccd_id}/stamps.log",
    benchmark:
        "benchmarks/{ccd_id}/stamps.tsv"
    wildcard_constraints:
        ccd_id=STAMPS,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=growing(240),
    params:
        settings=plan.settings("prepare", "bad_quality", "compression_error", "average", "motion"),
        on_bad_image=config["input"]["on_bad_image"],
        code=code_of("stamps", "stamp_table"),
    message:
        "{wildcards.ccd_id}: pixels and backgrounds of the target pixel files"
    script:
        "../scripts/stamps.py"
