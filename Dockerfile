# A container image with the packages of pyproject.toml. Untested. To run the demo in it:
#     docker build -t tessphot . && docker run --rm -v "$PWD/run:/run" tessphot --cores 2 \
#         --snakefile /opt/tessphot/workflow/Snakefile --configfile /opt/tessphot/config/demo.yaml \
#         --directory /run
FROM python:3.12-slim
COPY . /opt/tessphot
RUN pip install --no-cache-dir '/opt/tessphot[parquet,pointings,slurm,cluster]'
# Also for users without a name or a home: docker run -u "$(id -u):$(id -g)". Snakemake asks for both.
ENV HOME=/home/anybody USER=anybody LOGNAME=anybody
RUN mkdir -m 777 /home/anybody
ENTRYPOINT ["snakemake"]
