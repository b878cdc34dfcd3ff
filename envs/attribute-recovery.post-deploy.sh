#!/usr/bin/env bash
# Runs in the new environment, from the clone's top folder. The environment then holds a copy of src/: after a change
# there, remove .snakemake/conda, so that it is made anew.
set -euo pipefail
python -m pip install --quiet --require-hashes -r envs/requirements.txt
python -m pip install --quiet --no-deps --no-build-isolation .
