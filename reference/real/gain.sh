#!/usr/bin/env bash
# Installs published weights and the reference implementations, builds barka,
# and measures what training gains:
#
#     reference/real/gain.sh WORK DATA [--doc docs/real-models.md] [--tokens N] [MODEL…]
#
# WORK is a directory to make (10 GB, most of it torch); DATA has the parallel
# text and the benchmark rows (README.md lists them).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
work=$(cd "$1" && pwd)
data=$(cd "$2" && pwd)
shift 2
python=${BARKA_PYTHON:-$work/venv/bin/python}
if [ ! -x "$python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
fi
(cd "$here/../.." && CGO_ENABLED=0 go build -o "$work/barka" ./cmd/barka)
exec "$python" "$here/gain.py" --barka "$work/barka" --work "$work" --data "$data" "$@"
