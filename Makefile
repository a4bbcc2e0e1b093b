# The front door. Each of these does its own set-up (Debian packages, .venv, build), and does
# nothing twice; `make help` lists them.
#
#   PYTHON=...       the Python that .venv is made from
#   EXTRAS="torch"   further extras of pyproject.toml to install into .venv
#   FUZZ_SECONDS=60  how long `make fuzz` fuzzes in all
#   VLLM=0.31        which vLLM `make test-vllm-smoke` runs, if not the newest
#   SETUP=skip       trust that everything is installed

.DEFAULT_GOAL := help
.PHONY: help setup build demo package test test-vllm test-vllm-smoke bench bench-vllm check tidy asan tsan fuzz abi slow cuda lint fmt docs clean

FUZZ_SECONDS ?= 60
VENV := .venv/bin
export PYTHON

define prepare
	@if [ "$(SETUP)" != skip ]; then \
	  tools/bootstrap/install_packages $(1) && tools/bootstrap/check_toolchain && \
	  tools/bootstrap/make_venv $(2) $(EXTRAS); fi
endef

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 26

setup: ## install what is missing
	$(call prepare,base,base)

build: ## build everything into build/release
	$(call prepare,base,base)
	@tools/build release

demo: build ## two engines share KV through the daemon, across kill -9 of both
	@$(VENV)/lmcd demo

test: ## run the tests
	$(call prepare,base,base test)
	@tools/build release
	@$(VENV)/python tools/run_tests.py release

test-vllm: ## the connector in a real vLLM on the CPU, in an environment of its own
	$(call prepare,base,base test)
	@if [ "$(SETUP)" != skip ]; then tools/bootstrap/make_vllm_venv; fi
	@tools/build release
	@.venv-vllm/bin/python -m pytest -q tests/vllm

test-vllm-smoke: ## the least of test-vllm, in a few minutes; VLLM=0.31 with that version
	$(call prepare,base,base test)
	@if [ "$(SETUP)" != skip ]; then tools/bootstrap/make_vllm_venv $(VLLM); fi
	@tools/build release lmcd-daemon lmcd lmcd_native
	@PYTHONPATH=$(if $(VLLM),.venv-vllm-$(VLLM)) .venv-vllm/bin/python -m pytest -q \
	  tests/vllm/test_smoke.py

package: ## a Debian package of daemon, library and units, in build/package
	$(call prepare,base,base)
	@tools/build package
	@cd build/package && cpack -G DEB

bench: build ## measure; prints a table and writes bench/results.json
	@$(VENV)/python bench/run.py

bench-vllm: ## the connector's lookup, as vLLM calls it
	$(call prepare,base,base test)
	@if [ "$(SETUP)" != skip ]; then tools/bootstrap/make_vllm_venv; fi
	@tools/build release lmcd-daemon lmcd lmcd_native
	@.venv-vllm/bin/python bench/vllm_lookup.py

check: tidy lint abi slow asan tsan fuzz ## everything that is not `make test`

tidy: ## floors, headers that stand alone, lengths, names, banned calls
	$(call prepare,base,base test)
	@tools/build release lmcd_headers
	@$(VENV)/python -m pytest -q tests/tidy

asan: ## the tests of C and C++ under AddressSanitizer and UndefinedBehaviorSanitizer
	$(call prepare,base,base)
	@tools/build asan
	@$(VENV)/python tools/run_tests.py asan

tsan: ## the same under ThreadSanitizer
	$(call prepare,base,base)
	@tools/build tsan
	@$(VENV)/python tools/run_tests.py tsan

fuzz: ## fuzz every decoder, FUZZ_SECONDS in all
	$(call prepare,base check,base)
	@tools/build fuzz lmcd_fuzzers
	@tools/fuzz $(FUZZ_SECONDS)

abi: ## the header as C99, C11 and C++20, struct layout, exported symbols
	$(call prepare,base,base test)
	@tools/build release
	@$(VENV)/python tools/run_tests.py release abi

slow: ## the tests that take more than half a minute
	$(call prepare,base check,base test)
	@tools/build release
	@$(VENV)/python tools/run_tests.py release slow

cuda: ## compile the GPU's page copy, where there is nvcc
	$(call prepare,base,base)
	@tools/build release lmcd_cuda

lint: ## ruff and mypy --strict
	$(call prepare,base,base test lint)
	@tools/lint

fmt: ## format C, C++ and Python
	$(call prepare,base check,base lint)
	@git ls-files '*.h' '*.cc' '*.c' '*.cu' | xargs -r clang-format-16 -i
	@$(VENV)/ruff format -q .

docs: build ## write the pages of options and metrics from the code's tables
	@$(VENV)/python tools/write_tables.py
	@$(VENV)/python tools/write_grafana.py

clean: ## remove what was built; .venv stays
	@rm -rf build bench/results.json
