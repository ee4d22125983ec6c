#!/usr/bin/env bash
# Installs published weights and the reference implementations, builds barka,
# and measures what training gains:
#
#     reference/real/gain.sh WORK DATA [--doc docs/real-models.md] [--tokens N] [MODEL…]
#
# WORK is a directory to make (10 GB, most of it torch); DATA has the parallel
# text and the benchmark rows (README.md lists them).
set -euo pipefail
. "$(dirname "$0")/install.sh"
shift 2
exec "$python" "$here/gain.py" --barka "$work/barka" --work "$work" --data "$data" "$@"
