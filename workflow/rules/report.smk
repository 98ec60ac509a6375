# What people look at: the report of the run, and pictures.


rule ccd_report:
    input:
        todo="results/todo.sqlite",
        pixels="results/{ccd_id}/pixels.hdf5",
        prf="results/{ccd_id}/prf.fits",
        catalog="results/{ccd_id}/catalog.sqlite",
    output:
        directory("results/report/{ccd_id}"),
    log:
        "logs/{ccd_id}/report.log",
    benchmark:
        "benchmarks/{ccd_id}/ccd_report.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000, bytes_per_pixel=50),
        runtime=growing(30),
    params:
        n_stars=config["output"]["report_stars"],
        tic_ids=config["targets"]["tic_ids"],
        code=code_of("ccd_report"),
    message:
        "{wildcards.ccd_id}: pages of the report"
    script:
        "../scripts/ccd_report.py"


rule report:
    input:
        todo="results/todo.sqlite",
        record=RECORD,
        pixels=plan.of_each_ccd("pixels.hdf5"),
        prfs=plan.of_each_ccd("prf.fits"),
        pages=plan.pages_of_ccds,
    output:
        index=REPORT,
        assets=directory("results/report/assets"),
    log:
        "logs/report.log",
    benchmark:
        "benchmarks/report.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=growing(30),
    params:
        code=code_of("report"),
    message:
        "report of the run: results/report/index.html"
    script:
        "../scripts/report.py"


rule pictures:
    input:
        "results/todo.sqlite",
    output:
        averages=[
            report(
                path,
                caption="../report/average_image.rst",
                category="Pictures",
                labels={"CCD": str(ccd_id), "picture": "average image"},
            )
            for path, ccd_id in zip(plan.average_pictures, plan.ccds)
        ],
        light_curve=report(
            LIGHT_CURVE_PICTURE,
            caption="../report/light_curve.rst",
            category="Pictures",
            labels={"CCD": "", "picture": "light curve"},
        ),
    log:
        "logs/pictures.log",
    benchmark:
        "benchmarks/pictures.tsv"
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=growing(30),
    params:
        ccds=list(map(str, plan.ccds)),
        code=code_of("pictures"),
    message:
        "pictures of the average images and of a light curve"
    script:
        "../scripts/pictures.py"
