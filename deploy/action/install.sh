#!/usr/bin/env bash
# The first step of action.yml: sinkd in an environment of its own, which the steps after it do not see.
set -euo pipefail

venv=$RUNNER_TEMP/sinkd
python3 -m venv "$venv"
pip() { PATH=$venv/bin:$PATH "$venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }

if [[ $VERSION ]]; then
	pip install "sinkd==$VERSION"
else
	# What the action's own commit holds, so that a workflow which names that commit knows every byte.
	cd "$GITHUB_ACTION_PATH"
	pip install --require-hashes -r requirements.txt -r deploy/build-requirements.txt
	pip install --no-deps --no-build-isolation .
fi
