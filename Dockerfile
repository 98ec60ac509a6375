# A container image with the packages of pyproject.toml. Untested. To run the demo in it:
#     docker build -t tessphot . && docker run --rm -v "$PWD/run:/run" tessphot --cores 2 \
#         --snakefile /opt/tessphot/workflow/Snakefile --configfile /opt/tessphot/config/demo.yaml \
#         --directory /run
FROM python:3.12-slim
COPY . /opt/tessphot
RUN pip install --no-cache-dir '/opt/tessphot[parquet,pointings,slurm,cluster]'
ENTRYPOINT ["snakemake"]
