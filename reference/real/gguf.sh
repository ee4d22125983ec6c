#!/usr/bin/env bash
# Installs published GGUF files and the reference implementations, builds barka,
# and compares them:
#
#     reference/real/gguf.sh WORK DATA [--doc docs/real-gguf.md] [--only CHECK] [MODEL…]
#
# WORK is a directory to make (10 GB, most of it torch); DATA has parallel/ntrex
# (README.md). Afterwards WORK/venv/bin/python reference/real/quantised.py
# evaluates Gemma 3 270M in three types.
set -euo pipefail
. "$(dirname "$0")/install.sh"
shift 2
exec "$python" "$here/gguf_run.py" --barka "$work/barka" --work "$work" --data "$data" "$@"
