# Two commands do everything: `make demo` and `make test`. Both set up a virtual environment in .venv first.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing roadmask and what it needs into .venv (once, a few minutes)"
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev
	@touch $@

ROOMS := demos engines streaming tracking

.PHONY: typecheck-tree
typecheck-tree: # mypy does not follow package-dir, so it is shown the tree as it installs
	@mkdir -p build/typecheck/roadmask
	@ln -sfn $(CURDIR)/roadmask/*.py $(CURDIR)/roadmask/py.typed build/typecheck/roadmask/
	@for room in $(ROOMS); do ln -sfn $(CURDIR)/$$room build/typecheck/roadmask/$$room; done

.PHONY: typecheck
typecheck: $(STAMP) typecheck-tree
	$(BIN)/mypy
