# From the images of a CCD to one file with everything that photometry needs.


# Local, since the nodes of a cluster often have no network access.
rule tic:
    input:
        # ancient(): a new image does not repeat the download.
        ffi_table=ancient(of_ccd(plan.footprint_table)),
        cutouts=of_ccd(plan.footprint_cutouts),
    output:
        "results/{ccd_id}/tic.fits",
    log:
        "logs/{ccd_id}/tic.log",
    benchmark:
        "benchmarks/{ccd_id}/tic.tsv"
    localrule: True
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=growing(240),
        downloads=1,
    params:
        window=plan.window.as_list(),
        settings=plan.settings("catalog", "source", "buffer", "faint_limit"),
        code=code_of("tic"),
    message:
        "{wildcards.ccd_id}: stars of the TESS Input Catalog, downloaded"
    script:
        "../scripts/tic.py"


rule ccd_catalog:
    input:
        # ancient(): a new image does not change the stars.
        ffi_table=ancient("results/{ccd_id}/ffis.ecsv"),
        tic=of_ccd(plan.star_list),
        cutouts=of_ccd(plan.cutout_table),
    output:
        "results/{ccd_id}/catalog.sqlite",
    log:
        "logs/{ccd_id}/catalog.log",
    benchmark:
        "benchmarks/{ccd_id}/catalog.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=growing(60),
    params:
        window=plan.window.as_list(),
        settings=plan.settings("catalog", "buffer", "faint_limit"),
        code=code_of("catalog", "ffi_table"),
    message:
        "{wildcards.ccd_id}: catalog of the stars"
    script:
        "../scripts/catalog.py"


rule average_image:
    input:
        blocks=of_ccd(plan.block_files),
        catalog="results/{ccd_id}/catalog.sqlite",
        jitter="results/{ccd_id}/jitter.ecsv",
    output:
        average_image="results/{ccd_id}/average_image.fits",
        foreign_light="results/{ccd_id}/foreign_light.hdf5",
    log:
        "logs/{ccd_id}/average_image.log",
    benchmark:
        "benchmarks/{ccd_id}/average_image.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000, bytes_per_pixel=200),
        runtime=growing(60),
    params:
        settings=plan.settings("prepare", "bad_quality", "background", "average"),
        code=code_of("average_image"),
    message:
        "{wildcards.ccd_id}: average image, and what changed against it"
    script:
        "../scripts/average_image.py"


rule jitter:
    input:
        blocks=of_ccd(plan.block_files),
    output:
        "results/{ccd_id}/jitter.ecsv",
    log:
        "logs/{ccd_id}/jitter.log",
    benchmark:
        "benchmarks/{ccd_id}/jitter.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000, bytes_per_pixel=200),
        runtime=growing(120),
    params:
        settings=plan.settings("prepare", "bad_quality", "flags"),
        code=code_of("jitter"),
    message:
        "{wildcards.ccd_id}: image motion"
    script:
        "../scripts/jitter.py"


rule spacecraft:
    input:
        ffi_tables=ffi_tables_of_sector,
        ephemeris=plan.ephemeris_files(),
    output:
        "results/spacecraft_sector{sector}.ecsv",
    log:
        "logs/spacecraft_sector{sector}.log",
    benchmark:
        "benchmarks/spacecraft_sector{sector}.tsv"
    wildcard_constraints:
        sector=r"[1-9]\d*",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=growing(30),
    params:
        code=code_of("spacecraft"),
    message:
        "sector {wildcards.sector}: positions of TESS"
    script:
        "../scripts/spacecraft.py"


rule hdf5:
    input:
        blocks=of_ccd(plan.block_files),
        average_image="results/{ccd_id}/average_image.fits",
        foreign_light="results/{ccd_id}/foreign_light.hdf5",
        jitter="results/{ccd_id}/jitter.ecsv",
        catalog="results/{ccd_id}/catalog.sqlite",
        # ancient(): a new image of one CCD does not repeat all other CCDs;
        spacecraft=ancient(spacecraft_of),
        # a new ephemeris does.
        ephemeris=plan.ephemeris_files(),
    output:
        "results/{ccd_id}/pixels.hdf5",
    log:
        "logs/{ccd_id}/hdf5.log",
    benchmark:
        "benchmarks/{ccd_id}/hdf5.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000, bytes_per_pixel=100),
        runtime=growing(60),
    params:
        settings=config["prepare"],
        code=code_of("hdf5", "spacecraft"),
    message:
        "{wildcards.ccd_id}: pixel cube of all blocks"
    script:
        "../scripts/hdf5.py"
