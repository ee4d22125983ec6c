#!/usr/bin/env bash
# Installs published weights, builds barka, and runs the whole path in Arabic on them: SmolLM2 writes the
# questions, the small translator translates, Gemma 3 270M learns and is evaluated before and after.
#
#     reference/real/whole.sh WORK DATA TRANSLATOR
#
# WORK is a directory to make (6 GB, most of it torch); DATA has the dump, the benchmark rows and the English
# sets (README.md lists them); TRANSLATOR is a directory that reference/translator/train.py has written.
set -euo pipefail
[ $# -eq 3 ] || set --
. "$(dirname "$0")/install.sh"
exec "$python" "$here/whole.py" --barka "$work/barka" --work "$work" --data "$data" --translator "$3"
