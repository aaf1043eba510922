# Two commands do all the set-up: `make demo` shows the product at work, `make test` checks everything.
# They need Python 3.11 or newer, make, and a package index.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Make the environment $(1), with the constraints $(2) and the packages $(3). uv takes a quarter of pip's time. It does
# not read pip's settings: pip it is where these name an index, or where uv is not to be had or fails.
define install
@echo "Installing into $(1) …"
@$(PYTHON) -m venv $(1)
@{ ! $(1)/bin/python -m pip config list | grep -q '\.index-url=' \
    && $(1)/bin/python -m pip install --quiet --disable-pip-version-check -c $(2) uv \
    && $(1)/bin/uv pip install --quiet --python $(1)/bin/python -c $(2) $(3); } \
  || $(1)/bin/python -m pip install --quiet --disable-pip-version-check -c $(2) $(3)
@touch $@
endef

# The tests start hundreds of processes: each would compile the package anew if the caller forbids bytecode.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint types contract unit unit-all unit-postgres unit-snowflake unit-bigquery \
  unit-steps unit-redshift unit-translated unit-spark test-dbt-versions test-recipes bench \
  crash-matrix fault-matrix format clean

help:
	@echo "make demo      watch the example project feed a local Planhat (about a minute after the installation)"
	@echo "make test      lint, types, import contract, tests (of each matrix a share; seven to nine minutes)"
	@echo "make test-all  the same with all of each matrix, on all other warehouses, and with every version of dbt"
	@echo "make bench     measure it beside hand-made scripts (about twenty minutes)"
	@echo "make crash-matrix  kill a sync at every point; make fault-matrix  every fault at every call"
	@echo "make format    format the code"
	@echo "make clean     remove everything that was built"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	$(call install,$(VENV),constraints.txt,-e '.[dev]')

install: $(READY)

demo: $(READY)
	@$(BIN)/python dbt_project_example/demo.py

test: lint types contract unit

test-all: lint types contract unit-all unit-postgres unit-redshift unit-steps unit-translated unit-spark unit-snowflake unit-bigquery test-dbt-versions test-recipes

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

contract: $(READY)
	$(BIN)/lint-imports

# Of the matrices (conformance, kills, faults, types) a share, the same in every run: see tests/harness/share.py.
unit: $(READY)
	$(BIN)/pytest -n auto --dist worksteal

# All of them.
unit-all: $(READY)
	PLANHAT_DBT_TEST_ALL=1 $(BIN)/pytest -n auto --dist worksteal

# The server's binaries come from a package, its files are in memory, and it ends with the tests.
unit-postgres: $(READY)
	PLANHAT_DBT_TEST_ON=postgres $(BIN)/pytest -n auto tests/run tests/conformance tests/crash tests/faults \
	  tests/core/test_machine.py tests/core/test_items.py

# Of the conformance tests, where all take too long: every mode, match key and way of removal of two objects.
SOME_CELLS := tests/conformance -k "company or note"

# PostgreSQL again, which is spoken to in Redshift's SQL: each statement is checked, then translated.
ON_REDSHIFT := modes mapping rename rekey rekey_without_ids removals events canonical doubt state doctor \
  recovery heartbeat sealed_plans read_back gone guards notes patience selection secrets interruption faults

unit-redshift: $(READY)
	PLANHAT_DBT_TEST_ON=redshift $(BIN)/pytest -n auto tests/on_redshift $(ON_REDSHIFT:%=tests/run/test_%.py)
	PLANHAT_DBT_TEST_ON=redshift $(BIN)/pytest -n auto $(SOME_CELLS)

# DuckDB with each statement committed by itself, as on engines without transactions (decision 43). The tests that are
# left out want another state schema, or a trial of rights.
unit-steps: $(READY)
	PLANHAT_DBT_TEST_ON=steps $(BIN)/pytest -n auto tests/run tests/crash tests/faults tests/core/test_machine.py \
	  --ignore tests/run/test_doctor.py --ignore tests/run/test_profiles.py --ignore tests/run/test_state.py

# An emulator answers Snowflake's own connector. It wants other versions of some packages: an environment of its own.
SNOWFLAKE := .venv-snowflake
EMULATOR := 'fakesnow[server]==0.12.1' dbt-snowflake==1.12.4 snowflake-connector-python==4.8.1 duckdb==2.0.1 sqlglot==30.22.0

$(SNOWFLAKE)/.ready: pyproject.toml constraints.txt
	@mkdir -p $(SNOWFLAKE) && grep -vE '^(duckdb|sqlglot|certifi)==' constraints.txt > $(SNOWFLAKE)/constraints.txt
	$(call install,$(SNOWFLAKE),$(SNOWFLAKE)/constraints.txt,-e '.[dev]' $(EMULATOR))

ON_SNOWFLAKE := modes canonical bad_input calls events faults guards heartbeat interruption notes patience sealed_plans \
  selection secrets mapping rename rekey rekey_without_ids removals gone doctor state recovery doubt

unit-snowflake: $(SNOWFLAKE)/.ready
	PLANHAT_DBT_TEST_ON=snowflake $(SNOWFLAKE)/bin/pytest -n auto --timeout 600 -W ignore::DeprecationWarning \
	  tests/on_snowflake $(ON_SNOWFLAKE:%=tests/run/test_%.py) tests/conformance

# Another answers Google's own client; its plugin for pytest wants what is not needed here.
BIGQUERY := .venv-bigquery
BQEMULATOR := bqemulator==1.4.0 dbt-bigquery==1.12.1 google-cloud-bigquery==3.47.0 duckdb==2.0.1 sqlglot==30.11.0

$(BIGQUERY)/.ready: pyproject.toml constraints.txt
	@mkdir -p $(BIGQUERY) && grep -vE '^(duckdb|sqlglot|certifi|tenacity)==' constraints.txt > $(BIGQUERY)/constraints.txt
	$(call install,$(BIGQUERY),$(BIGQUERY)/constraints.txt,-e '.[dev]' $(BQEMULATOR))

# What was seen to pass there. Not in it: what was not run to its end yet, as docs/warehouses.md says.
ON_BIGQUERY := tests/on_bigquery tests/run/test_doctor.py --deselect tests/run/test_doctor.py::test_all_is_well

unit-bigquery: $(BIGQUERY)/.ready
	PLANHAT_DBT_TEST_ON=bigquery $(BIGQUERY)/bin/pytest -n auto --timeout 900 -p no:bqemulator \
	  -W ignore::DeprecationWarning $(ON_BIGQUERY)
	PLANHAT_DBT_TEST_ON=bigquery $(BIGQUERY)/bin/pytest -n auto --timeout 900 -p no:bqemulator \
	  -W ignore::DeprecationWarning $(SOME_CELLS)

# DuckDB stands for them, with each statement translated from their SQL; docs/warehouses.md says what that shows. Left out:
# state in another schema than the stand-in of Databricks has, and what takes a copy of a file.
TRANSLATED := modes mapping rename rekey rekey_without_ids removals events canonical doubt

unit-translated: $(READY)
	PLANHAT_DBT_TEST_ON=trino $(BIN)/pytest -n auto --timeout 600 $(TRANSLATED:%=tests/run/test_%.py)
	PLANHAT_DBT_TEST_ON=trino $(BIN)/pytest -n auto --timeout 600 $(SOME_CELLS)
	PLANHAT_DBT_TEST_ON=databricks $(BIN)/pytest -n auto --timeout 600 $(TRANSLATED:%=tests/run/test_%.py)
	PLANHAT_DBT_TEST_ON=databricks $(BIN)/pytest -n auto --timeout 600 $(SOME_CELLS)

# Spark itself, which wants Java 17 or newer.
SPARK := .venv-spark

$(SPARK)/.ready: pyproject.toml constraints.txt
	$(call install,$(SPARK),constraints.txt,-e '.[dev]' dbt-spark==1.11.0 pyspark==4.3.0)

unit-spark: $(SPARK)/.ready
	$(SPARK)/bin/pytest -n 0 tests/on_spark

# Each version of dbt has an environment of its own in .dbt-versions; MINORS="1.8 1.12" names some.
test-dbt-versions: $(READY)
	$(BIN)/python tests/versions/matrix.py $(MINORS)

# Airflow and Dagster have environments of their own in .recipes.
test-recipes: $(READY)
	PLANHAT_DBT_TEST_RECIPES=1 $(BIN)/pytest --timeout 900 tests/recipes

# The page is written whatever came of it: it tells of faults, too.
crash-matrix: $(READY)
	rm -rf .matrix && mkdir .matrix
	PLANHAT_DBT_TEST_ALL=1 PLANHAT_DBT_CRASH_MATRIX=$(CURDIR)/.matrix $(BIN)/pytest -n auto tests/crash -k killed; \
	  ended=$$?; $(BIN)/python tests/crash/page.py crash .matrix && exit $$ended

fault-matrix: $(READY)
	rm -rf .matrix && mkdir .matrix
	PLANHAT_DBT_TEST_ALL=1 PLANHAT_DBT_FAULT_MATRIX=$(CURDIR)/.matrix $(BIN)/pytest -n auto tests/faults -k any_fault; \
	  ended=$$?; $(BIN)/python tests/crash/page.py faults .matrix && exit $$ended

bench: $(READY)
	$(BIN)/python -m benchmarks --write

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(SPARK) $(SNOWFLAKE) $(BIGQUERY) .dbt-versions .recipes .demo .matrix .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
