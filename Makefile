# `make help` lists the targets. Python packages are installed to .venv in this folder; nothing
# else on the machine is changed (except by test-slurm, see there). PYTHON=... selects another
# Python (3.11 or newer), CORES=... the number of parallel jobs.

CORES ?= 2
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-run
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: help demo docs test test-faults test-same test-slurm fuzz lint config benchmark benchmark-real clean
.DEFAULT_GOAL := help

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST)

demo: $(VENV)/installed ## run the pipeline on a small simulated sector, in demo-run/
	@$(BIN)/snakemake --cores $(CORES) --snakefile workflow/Snakefile \
		--configfile config/demo.yaml --directory $(DEMO)
	@echo
	@echo "One of the light curves:"
	@find $(DEMO)/results -name '*_lc.fits.gz' | sort | head -n 1
	@echo "Pictures:"
	@find $(DEMO)/results/pictures -name '*.png' | sort
	@echo "Report, to open in a browser:"
	@echo $(DEMO)/results/report/index.html

docs: $(VENV)/installed-for-docs $(DEMO)/results/report/index.html ## build the documentation in site/
	@# Not --quiet, with which broken links and the like would be no errors.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build >$(VENV)/docs.log 2>&1 || { cat $(VENV)/docs.log; exit 1; }
	@echo site/index.html

$(DEMO)/results/report/index.html:
	@$(MAKE) --no-print-directory demo

test: $(VENV)/installed-for-development ## run all tests
	@$(BIN)/python -m pytest --quiet --numprocesses $(CORES)

test-faults: $(VENV)/installed-for-development ## test killed jobs, full disks and other faults in whole runs (minutes)
	@$(BIN)/python -m pytest --quiet tests/slow/check_faults.py tests/slow/check_orphans.py \
		tests/slow/check_surroundings.py

test-same: $(VENV)/installed-for-development ## test that results do not depend on cores, blocks and tiles (minutes)
	@$(BIN)/python -m pytest --quiet tests/slow/check_same_result.py

test-slurm: $(VENV)/installed-for-development ## test the cluster profiles on a real Slurm (installs Debian packages)
	@tests/slurm/install
	@$(BIN)/python -m pytest --quiet tests/slurm/check_slurm.py

fuzz: $(VENV)/installed-for-development ## test 12,000 damaged or changed inputs
	@$(BIN)/python -W ignore tests/fuzz.py --cases 12000

lint: $(VENV)/installed-for-development ## check style, formatting and type hints
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/snakefmt --check workflow
	@$(BIN)/mypy --no-error-summary
	@empty=$$(mktemp -d) && trap 'rm -r "$$empty"' EXIT && \
		$(BIN)/snakemake --quiet all --lint --snakefile workflow/Snakefile \
		--configfile config/demo.yaml --directory "$$empty"

config: $(VENV)/installed ## write config.yaml, its schema and its tables from the settings classes
	@$(BIN)/python -m tessphot_lib.core.config_files

benchmark: $(VENV)/installed-for-development ## measure speed, memory and quality of the photometry
	@test -e benchmarks/run.py || { echo "benchmarks/run.py is missing" >&2; exit 1; }
	@$(BIN)/python benchmarks/run.py

benchmark-real: $(VENV)/installed-for-development ## measure errors, times and flags on real cutouts (where there are any)
	@$(BIN)/python benchmarks/real_pixels.py

clean: ## remove the demo and the files that tools leave behind (.venv stays)
	rm -rf $(DEMO) site build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .snakemake
	find tessphot_lib tests workflow -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is created again when its Python no longer works, and updated when
# pyproject.toml has changed.
$(VENV)/installed: pyproject.toml
	@$(MAKE) --no-print-directory environment
	@echo "installing the packages listed in pyproject.toml (once; takes some minutes)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-for-development: pyproject.toml
	@$(MAKE) --no-print-directory environment
	@echo "installing the packages listed in pyproject.toml (once; takes some minutes)"
	@$(PIP) install --editable '.[test,lint,parquet,pointings,slurm,cluster]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-for-docs: pyproject.toml
	@$(MAKE) --no-print-directory environment
	@$(PIP) install --editable '.[docs]'
	@touch $@ $(VENV)/installed

.PHONY: environment
environment:
	@if $(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null; then exit 0; fi; \
	found=; \
	for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
		if "$$python" -c '$(NEW_ENOUGH)' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if test -z "$$found"; then \
		echo "error: Python 3.11 or newer is needed, but $(if $(PYTHON),$(PYTHON) is older or does not run,none was found); name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	echo "creating $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv --clear $(VENV) || { \
		echo "error: $$found cannot make a virtual environment (on Debian and Ubuntu: install python3-venv)" >&2; \
		exit 1; \
	}
