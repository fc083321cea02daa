# The commands of this repository. `make demo` and `make test` do all the set-up themselves.
SHELL := /bin/bash
PY := .venv/bin/python
# uv does not read pip's setting of where locally provided wheels lie.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

lint: .venv/.ready
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports --no-cache
	.venv/bin/mypy
