# PRF, todo list, and light curves: by tile, of a single star, or of a list of stars.


rule prf:
    input:
        pixels="results/{ccd_id}/pixels.hdf5",
        catalog="results/{ccd_id}/catalog.sqlite",
        files=of_ccd(plan.prf_files),
        of_images=of_ccd(plan.prf_of_images),
    output:
        prf="results/{ccd_id}/prf.fits",
        list_check="results/{ccd_id}/list_check.ecsv",
        unlisted="results/{ccd_id}/unlisted.ecsv",
    log:
        "logs/{ccd_id}/prf.log",
    benchmark:
        "benchmarks/{ccd_id}/prf.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000, bytes_per_pixel=250),
        runtime=growing(60),
    params:
        settings=config["prf"],
        code=code_of("prf"),
    message:
        "{wildcards.ccd_id}: pixel response function, and check of the list of stars"
    script:
        "../scripts/prf.py"


# Local, since the nodes of a cluster often have no network access.
rule skybot:
    input:
        # ancient(): a new image does not repeat the questions.
        ffi_table=ancient("results/{ccd_id}/ffis.ecsv"),
        catalog=ancient("results/{ccd_id}/catalog.sqlite"),
    output:
        "results/{ccd_id}/skybot.csv",
    log:
        "logs/{ccd_id}/skybot.log",
    benchmark:
        "benchmarks/{ccd_id}/skybot.tsv"
    localrule: True
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=growing(60),
        downloads=1,
    params:
        code=code_of("skybot"),
    message:
        "{wildcards.ccd_id}: known asteroids and comets, from SkyBoT"
    script:
        "../scripts/skybot.py"


rule moving:
    input:
        pixels="results/{ccd_id}/pixels.hdf5",
        blocks=of_ccd(plan.block_files),
        prf="results/{ccd_id}/prf.fits",
        catalog="results/{ccd_id}/catalog.sqlite",
        unlisted="results/{ccd_id}/unlisted.ecsv",
        ephemerides=plan.object_ephemerides(),
        skybot=of_ccd(plan.skybot_file),
    output:
        moving="results/{ccd_id}/moving.ecsv",
        transients="results/{ccd_id}/transients.ecsv",
    log:
        "logs/{ccd_id}/moving.log",
    benchmark:
        "benchmarks/{ccd_id}/moving.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),
    params:
        settings=config["moving"],
        code=code_of("moving"),
    message:
        "{wildcards.ccd_id}: asteroids, comets and transients"
    script:
        "../scripts/moving.py"


rule moving_photometry:
    input:
        pixels="results/{ccd_id}/pixels.hdf5",
        blocks=of_ccd(plan.block_files),
        prf="results/{ccd_id}/prf.fits",
        moving="results/{ccd_id}/moving.ecsv",
    output:
        directory("results/{ccd_id}/moving_objects"),
    log:
        "logs/{ccd_id}/moving_photometry.log",
    benchmark:
        "benchmarks/{ccd_id}/moving_photometry.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        output_settings=plan.settings("output", "version", "origin", "hlsp"),
        code=code_of("moving_photometry"),
    message:
        "{wildcards.ccd_id}: light curves of asteroids and comets"
    script:
        "../scripts/moving_photometry.py"


rule ccd_todo:
    input:
        pixels="results/{ccd_id}/pixels.hdf5",
        catalog="results/{ccd_id}/catalog.sqlite",
        prf="results/{ccd_id}/prf.fits",
        list_check="results/{ccd_id}/list_check.ecsv",
        unlisted="results/{ccd_id}/unlisted.ecsv",
        transients=of_ccd(plan.transients_file),
        cutouts=of_ccd(plan.cutout_table),
        lists=plan.star_list_files(),
    output:
        **plan.outputs_beside_todo(plan.image_ccds),
        todo="results/{ccd_id}/todo.sqlite",
    log:
        "logs/{ccd_id}/todo.log",
    benchmark:
        "benchmarks/{ccd_id}/todo.tsv"
    wildcard_constraints:
        ccd_id=IMAGES,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000, bytes_per_pixel=200),
        runtime=growing(60),
    params:
        settings=config["todo"],
        photometry=photometry_of("method", "tiles", "aperture", "auto", "transients"),
        code=code_of("todo"),
    message:
        "{wildcards.ccd_id}: list of the stars to measure"
    script:
        "../scripts/todo.py"


rule trends:
    input:
        pixels="results/{ccd_id}/pixels.hdf5",
        blocks=of_ccd(plan.block_files),
        catalog="results/{ccd_id}/catalog.sqlite",
        todo="results/{ccd_id}/todo.sqlite",
        prf="results/{ccd_id}/prf.fits",
        list_check="results/{ccd_id}/list_check.ecsv",
        unlisted="results/{ccd_id}/unlisted.ecsv",
        moving=of_ccd(plan.moving_file),
        transients=of_ccd(plan.transients_file),
    output:
        "results/{ccd_id}/trends.hdf5",
    log:
        "logs/{ccd_id}/trends.log",
    benchmark:
        "benchmarks/{ccd_id}/trends.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        settings=plan.settings("photometry", "aperture", "correction"),
        code=code_of("trends"),
    message:
        "{wildcards.ccd_id}: trends common to the light curves of quiet stars"
    script:
        "../scripts/trends.py"


rule tile_photometry:
    input:
        pixels="results/{ccd_id}/pixels.hdf5",
        blocks=of_ccd(plan.block_files),
        catalog="results/{ccd_id}/catalog.sqlite",
        todo="results/{ccd_id}/todo.sqlite",
        prf="results/{ccd_id}/prf.fits",
        list_check="results/{ccd_id}/list_check.ecsv",
        unlisted="results/{ccd_id}/unlisted.ecsv",
        moving=of_ccd(plan.moving_file),
        transients=of_ccd(plan.transients_file),
        trends=of_ccd(plan.trends_file),
    output:
        light_curves=directory("results/{ccd_id}/lightcurves/{tile}"),
        diagnostics="results/{ccd_id}/diagnostics/{tile}.ecsv",
    log:
        "logs/{ccd_id}/photometry_{tile}.log",
    benchmark:
        "benchmarks/{ccd_id}/photometry_{tile}.tsv"
    conda:
        "../../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=growing(120),
    params:
        settings=photometry_of(),
        output_settings=plan.settings("output", "version", "origin", "hlsp"),
        code=code_of("photometry"),
    message:
        "{wildcards.ccd_id}: light curves of tile {wildcards.tile}"
    script:
        "../scripts/photometry.py"


rule lightcurve:
    input:
        pixels="results/{ccd_id}/pixels.hdf5",
        blocks=of_ccd(plan.block_files),
        catalog="results/{ccd_id}/catalog.sqlite",
        todo="results/{ccd_id}/todo.sqlite",
        prf="results/{ccd_id}/prf.fits",
        list_check="results/{ccd_id}/list_check.ecsv",
        unlisted="results/{ccd_id}/unlisted.ecsv",
        moving=of_ccd(plan.moving_file),
        transients=of_ccd(plan.transients_file),
        trends=of_ccd(plan.trends_file),
    output:
        "results/{ccd_id}/stars/tic{tic_id}.fits.gz",
    log:
        "logs/{ccd_id}/lightcurve_{tic_id}.log",
    benchmark:
        "benchmarks/{ccd_id}/lightcurve_{tic_id}.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=growing(30),
    params:
        settings=photometry_of(),
        output_settings=plan.settings("output", "version", "origin", "hlsp"),
        code=code_of("lightcurve"),
    message:
        "{wildcards.ccd_id}: light curve of TIC {wildcards.tic_id}"
    script:
        "../scripts/lightcurve.py"


rule targets:
    input:
        pixels="results/{ccd_id}/pixels.hdf5",
        blocks=of_ccd(plan.block_files),
        catalog="results/{ccd_id}/catalog.sqlite",
        todo="results/{ccd_id}/todo.sqlite",
        prf="results/{ccd_id}/prf.fits",
        list_check="results/{ccd_id}/list_check.ecsv",
        unlisted="results/{ccd_id}/unlisted.ecsv",
        moving=of_ccd(plan.moving_file),
        transients=of_ccd(plan.transients_file),
        trends=of_ccd(plan.trends_file),
    output:
        directory("results/{ccd_id}/targets"),
    log:
        "logs/{ccd_id}/targets.log",
    benchmark:
        "benchmarks/{ccd_id}/targets.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=growing(120),
    params:
        tic_ids=config["targets"]["tic_ids"],
        settings=photometry_of(),
        output_settings=plan.settings("output", "version", "origin", "hlsp"),
        code=code_of("targets"),
    message:
        "{wildcards.ccd_id}: light curves of the listed stars"
    script:
        "../scripts/targets.py"
