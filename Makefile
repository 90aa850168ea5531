# Two commands are enough: `make demo` and `make test`. Both make .venv first; nothing else is needed.
PYTHON ?= python3
BIN := .venv/bin
# many tests wait for a process or a server: three for two cores keep the machine busy, and each collects the tests anew
WORKERS ?= $(shell expr \( 3 \* $$(getconf _NPROCESSORS_ONLN) + 1 \) / 2)
# the tests' files lie in memory where 4 GB are free there, and are removed with their folder
SCRATCH := $(shell test -w /dev/shm && test "$$(df -Pk /dev/shm | awk 'END { print $$4 }')" -gt 4194304 && echo /dev/shm || echo "$${TMPDIR:-/tmp}")
TESTED = scratch=$$(mktemp -d "$(SCRATCH)/eventabs.XXXX") && trap 'rm -rf "$$scratch"' EXIT && trap 'exit 130' INT TERM && TMPDIR="$$scratch"
PYTEST = python -m pytest -n $(WORKERS) --dist worksteal -m 'not cluster'

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# the exact versions of constraints.txt, also of what builds the package: pip before 25.3 reads the one name there, later pip the other
PINNED := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(INSTALL)

# where it is set, each of the processes that the tests start compiles the package anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all test-ray test-newest test-lowest coverage lint lock dist-test messages pinned docs bench bench-reliability bench-exports bench-sources bench-batch bench-shards bench-extend bench-peers clean

demo: .venv/installed
	rm -rf demo.eventabs
	$(BIN)/eventabs run examples/behaviors.jsonl --profiles examples/profiles.csv --provider rules --out demo.eventabs
	@printf '\n%s\n' 'demo.eventabs/events.jsonl:'
	@head -n 6 demo.eventabs/events.jsonl

test: .venv/dev
	@$(TESTED) $(BIN)/$(PYTEST) --quick

# every test but those of a cluster, with all examples
test-all: .venv/dev
	@$(TESTED) $(BIN)/$(PYTEST)

# runs on a Ray cluster of two machines, in network namespaces (as root); not beside other tests, since Ray starts slowly there,
# but two at a time, since they mostly wait; and not in memory, since the machines have a /dev/shm of their own
test-ray: .venv/dev .venv/ray
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m cluster tests/providers

# What users may get, in an environment of its own: the newest versions that the bounds of pyproject.toml allow, and the lowest
test-newest: RESOLUTION := highest
test-lowest: RESOLUTION := lowest-direct
test-newest test-lowest: .venv/dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/$(RESOLUTION)
	$(BIN)/uv pip install --quiet --python .venv/$(RESOLUTION) --resolution $(RESOLUTION) --editable '.[dev]'
	@$(TESTED) .venv/$(RESOLUTION)/bin/$(PYTEST)

# constraints.txt: the newest versions that the bounds of pyproject.toml allow, for each Python from 3.11 on
lock: .venv/bin/python
	$(PINNED) uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --custom-compile-command 'make lock' --output-file constraints.txt pyproject.toml

# the tests, with the branches that they take counted: that slows Python 3.11 down
coverage: .venv/dev
	@$(TESTED) $(BIN)/$(PYTEST) --cov

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

# What people and programs see, in tests/data/pinned: written anew after a change that is meant
pinned: .venv/dev
	$(BIN)/python -m pytest tests/whole/test_pinned_outputs.py --write-pinned

# Both languages as one site, build/site/index.html; a link that leads nowhere is an error. Before that docs/configuration.md
# is made, from the settings and the comments of config.example.toml
docs: .venv/docs
	$(BIN)/python tools/configuration_page.py
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/site
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs -D language=zh_CN docs/zh build/site/zh

.venv/bin/python:
	$(PYTHON) -m venv .venv

# what users get, within the bounds of pyproject.toml
.venv/installed: .venv/bin/python pyproject.toml
	$(INSTALL) --editable .
	touch $@

.venv/dev .venv/docs .venv/ray: .venv/bin/python pyproject.toml constraints.txt
	$(PINNED) --editable '.[$(@F)]'
	touch $@ .venv/installed

# Processor time beside yardsticks, two minutes; fails where a figure is 10 % worse than the last one kept: see docs/benchmarks.md
bench: .venv/dev
	$(BIN)/python benchmarks/bench.py $(OPTIONS)

# The case's failures, drawn against the tool; OPTIONS="--kills 50" and the like: see docs/benchmarks.md
bench-reliability: .venv/dev
	$(BIN)/python benchmarks/reliability.py $(OPTIONS)

# From files to packed batches, beside DuckDB alone; OPTIONS="--all" for 46 million rows: see docs/benchmarks.md
bench-exports: .venv/dev
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
bench-extend: .venv/dev
	$(BIN)/python benchmarks/extend.py $(OPTIONS)

# The same workload through this tool and its peers, each in an environment of its own (some minutes to install); see docs/benchmarks.md
bench-peers: .venv/dev
	$(BIN)/python benchmarks/peers/compare.py $(OPTIONS)

clean:
	rm -rf .venv demo.eventabs
