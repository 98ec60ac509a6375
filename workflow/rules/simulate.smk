# A simulated sector: its images, one job per block of time.


# Snakemake needs the names of all output images: hence one rule for each block of time.
for sector, block, images in plan.source.blocks_to_simulate():

    rule:
        name:
            f"simulate_s{sector:04d}_{block}"
        output:
            images=[kept_or_temporary(image) for image in images],
        log:
            f"logs/s{sector:04d}-cam{{camera}}-ccd{{ccd}}/simulate_{block}.log",
        benchmark:
            f"benchmarks/s{sector:04d}-cam{{camera}}-ccd{{ccd}}/simulate_{block}.tsv"
        conda:
            "../../environment.yaml"
        resources:
            mem_mb=memory(1000, bytes_per_pixel=200),
            runtime=growing(60),
        params:
            sector=sector,
            window=plan.window.as_list(),
            settings=config["simulation"],
            faint_limit=config["catalog"]["faint_limit"],
            code=code_of("simulate"),
        message:
            f"s{sector:04d}-cam{{wildcards.camera}}-ccd{{wildcards.ccd}}: images of {block}"
        script:
            "../scripts/simulate.py"
