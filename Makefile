# Two commands are enough: `make demo` and `make test`. Both make .venv first; nothing else is needed.
PYTHON ?= python3
BIN := .venv/bin
# many tests wait for a process or a server: two for each core keep the machine busy
WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))

# where it is set, each of the processes that the tests start compiles the package anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test coverage lint dist-test messages docs bench bench-reliability bench-exports bench-sources bench-batch bench-shards bench-extend bench-peers clean

demo: .venv/installed
	rm -rf demo.eventabs
	$(BIN)/eventabs run examples/behaviors.jsonl --profiles examples/profiles.csv --provider rules --out demo.eventabs
	@printf '\n%s\n' 'demo.eventabs/events.jsonl:'
	@head -n 6 demo.eventabs/events.jsonl

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# the tests, with the branches that they take counted: that slows Python 3.11 down
coverage: .venv/dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov

# dist/: wheel and sdist, and the wheel tried in an environment of its own
dist-test: .venv/dev
	$(BIN)/python tools/distribution.py

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

messages: .venv/dev
	$(BIN)/python tools/messages.py

# Both languages as one site, build/site/index.html; a link that leads nowhere is an error. Before that docs/configuration.md
# is made, from the settings and the comments of config.example.toml
docs: .venv/docs
	$(BIN)/python tools/configuration_page.py
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/site
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs -D language=zh_CN docs/zh build/site/zh

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/dev: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ .venv/installed

.venv/docs: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@ .venv/installed

# Processor time beside yardsticks, two minutes; fails where a figure is 10 % worse than the last one kept: see docs/benchmarks.md
bench: .venv/dev
	$(BIN)/python benchmarks/bench.py $(OPTIONS)

# The case's failures, drawn against the tool; OPTIONS="--kills 50" and the like: see docs/benchmarks.md
bench-reliability: .venv/installed
	$(BIN)/python benchmarks/reliability.py $(OPTIONS)

# From files to packed batches, beside DuckDB alone; OPTIONS="--all" for 46 million rows: see docs/benchmarks.md
bench-exports: .venv/installed
	$(BIN)/python benchmarks/exports.py $(OPTIONS)

# Jobs of a simulated batch service that expire, fail, lag and hang, and 40 kills; OPTIONS="--points 10": see docs/batch.md
bench-batch: .venv/dev
	$(BIN)/python benchmarks/batch_jobs.py $(OPTIONS)

# The same rows as a file, in an S3 server and piped out of PostgreSQL; OPTIONS="--rows 100000": see docs/benchmarks.md
bench-sources: .venv/dev
	$(BIN)/python benchmarks/sources.py $(OPTIONS)

bench-shards: .venv/dev
	$(BIN)/python benchmarks/shards.py $(OPTIONS)

# A run that is extended, by its size; OPTIONS="--users 10000": see docs/benchmarks.md
bench-extend: .venv/installed
	$(BIN)/python benchmarks/extend.py $(OPTIONS)

# The same workload through this tool and its peers, each in an environment of its own (some minutes to install); see docs/benchmarks.md
bench-peers: .venv/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python benchmarks/peers/compare.py $(OPTIONS)

clean:
	rm -rf .venv demo.eventabs
