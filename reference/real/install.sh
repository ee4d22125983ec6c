# Sourced by run.sh, gguf.sh and gain.sh with their arguments WORK and DATA: makes WORK and its Python
# environment, builds barka, and sets here, work, data and python.
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 2 ]; then # the comment at the top of the script
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
mkdir -p "$1"
work=$(cd "$1" && pwd)
data=$(cd "$2" && pwd)
python=${BARKA_PYTHON:-$work/venv/bin/python}
if [ ! -x "$python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
fi
(cd "$here/../.." && CGO_ENABLED=0 go build -o "$work/barka" ./cmd/barka)
