# The environment of pyproject.toml as an image. Untried: written without a container engine.
#     docker build -t tessphot . && docker run --rm -v "$PWD/run:/run" tessphot --cores 2 \
#         --snakefile /opt/tessphot/workflow/Snakefile --configfile /opt/tessphot/config/demo.yaml \
#         --directory /run
FROM python:3.12-slim
COPY . /opt/tessphot
RUN pip install --no-cache-dir '/opt/tessphot[parquet,pointings,slurm,cluster]'
ENTRYPOINT ["snakemake"]
