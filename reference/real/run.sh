#!/usr/bin/env bash
# Installs what the real path needs outside the repository, builds barka, and
# runs the path on real weights:
#
#     reference/real/run.sh WORK DATA [--doc docs/real-models.md]
#
# WORK is a directory to make (6 GB, most of it torch); DATA has the dump, the
# benchmark rows and the parallel text (README.md lists them).
set -euo pipefail
. "$(dirname "$0")/install.sh"
shift 2
exec "$python" "$here/run.py" --barka "$work/barka" --work "$work" --data "$data" "$@"
