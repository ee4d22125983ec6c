#!/usr/bin/env bash
# The GPU kernels on a card: correctness, races, speed, and torch beside them.
#
#   reference/gpu/check.sh build DIR     cross-builds what a card needs into DIR, and DIR.tar.gz of it; needs Go, no GPU
#   DIR/check.sh [STAGE…]                on the machine with the card; all stages if none is named
#
# Stages: environment smoke conformance sanitizer kernels beside whole translation peer compiled. Each has a time limit
# and leaves $OUT/STAGE.json (OUT is DIR/out by default); a table ends the run. The exit status is 1 if
# a stage failed. The emulated GPU can run smoke, conformance, kernels, whole and translation: BARKA_LIBCUDA names its
# library, BARKA_GPU_SMALL=1, DIVIDE=64 and SHAPE=tiny make the sizes small, and PATIENCE=20 multiplies the limits. Needed are
# the driver, and compute-sanitizer, torch, transformers and peft for the stages that use them, which are
# skipped with a reason where one is missing.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" = build ]; then
  set -e
  to=${2:?check.sh build DIR}
  mkdir -p "$to"
  cd "$here/../.."
  export CGO_ENABLED=0 GOOS=linux GOARCH=amd64
  go test -c -tags cuda -ldflags='-s -w' -o "$to/cuda.test" ./internal/cuda
  go test -c -tags cuda -ldflags='-s -w' -o "$to/device.test" ./internal/tensor/cuda
  go build -tags cuda -ldflags='-s -w' -o "$to/measure" ./reference/gpu/measure
  go build -tags cuda -ldflags='-s -w' -o "$to/barka" ./cmd/barka
  cp reference/gpu/{check.sh,report.py,beside.py,torch_peer.py} "$to"
  sources=$(sed -n 's/.*"sources": "\(.\{12\}\).*/\1/p' internal/cuda/kernels/manifest.json)
  echo "$(git describe --always --dirty --abbrev=10), kernels $sources" >"$to/commit"
  tar -C "$to" -czf "${to%/}.tar.gz" .
  exit
fi

out=${OUT:-$here/out}
mkdir -p "$out"
export BARKA_GPU=card PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false
failed=0

# stage NAME LIMIT COMMAND…: runs a command; what it prints to standard output is its JSON, if any.
stage() {
  local name=$1 limit=$2 start=$EPOCHREALTIME status
  shift 2
  timeout --kill-after=5 $((limit * ${PATIENCE:-1})) "$@" >"$out/$name.result" 2>"$out/$name.log"
  status=$?
  python3 "$here/report.py" stage "$out" "$name" "$start" "$EPOCHREALTIME" "$status" || status=1
  [ "$status" = 0 ] || { failed=1; tail -n 30 "$out/$name.log"; }
}
skip() { python3 "$here/report.py" skip "$out" "$1" "$2"; }

# The tests of the binding. All others are of kernels, and those of device.test of tensor.Device.
binding='Memory|Callers|Events|Graph|Arena|LaunchesDo|Signals|NoDriver|Binary'
smoke() { "$here/cuda.test" -test.v -test.run "$binding" 1>&2; }
conformance() {
  "$here/cuda.test" -test.v -test.skip "$binding|PlantedFault" 1>&2 && "$here/device.test" -test.v 1>&2
}
shape() { if [ "${SHAPE:-}" = tiny ]; then echo "tiny-$1"; else echo "$1-$2"; fi; }
# bench SHAPE WORK…: whole workloads with random weights of a model's shape.
bench() {
  local shape=$1
  shift
  "$here/barka" bench "$@" --shape "$shape" --layers 0 --divide "${DIVIDE:-1}" --device cuda --json
}
has() { python3 -c "import $1" 2>/dev/null; }

sanitizer() {
  local tool
  export BARKA_GPU_SMALL=1
  echo "== a planted fault" >&2
  if BARKA_GPU_FAULT=1 compute-sanitizer --error-exitcode 9 "$here/cuda.test" -test.run PlantedFault >&2; then
    echo "compute-sanitizer does not see a planted write out of bounds" >&2
    return 1
  fi
  for tool in memcheck racecheck; do
    echo "== $tool" >&2
    compute-sanitizer --tool "$tool" --error-exitcode 9 "$here/cuda.test" -test.v -test.skip "$binding|PlantedFault|PTX" 1>&2 &&
      compute-sanitizer --tool "$tool" --error-exitcode 9 "$here/device.test" -test.v -test.run Conformance 1>&2 || return
  done
}

# needs STAGE MODULE…: reports whether Python has the modules; without one the stage is skipped.
needs() {
  local name=$1 module
  shift
  for module; do has "$module" || { skip "$name" "no $module"; return 1; }; done
}

run() {
  case $1 in
  environment) needs environment torch && stage environment 60 python3 "$here/beside.py" environment ;;
  smoke) stage smoke 60 smoke ;;
  conformance) stage conformance 150 conformance ;;
  sanitizer)
    if command -v compute-sanitizer >/dev/null; then
      stage sanitizer 240 sanitizer
    else
      skip sanitizer "no compute-sanitizer"
    fi ;;
  kernels) stage kernels 120 "$here/measure" -divide "${DIVIDE:-1}" ;;
  whole) stage whole 170 bench "$(shape gemma-2 2b)" load prefill decode choice lora quality ;;
  translation) stage translation 60 bench "$(shape nllb 600m)" load translate ;;
  beside) needs beside torch && stage beside 90 python3 "$here/beside.py" kernels ;;
  peer) needs peer transformers peft && stage peer 200 python3 "$here/torch_peer.py" ;;
  compiled) needs compiled transformers && stage compiled 150 python3 "$here/torch_peer.py" compiled ;;
  *) echo "check.sh: no stage $1" >&2; exit 2 ;;
  esac
}
# timeout runs programs, not functions: a stage that is a function runs in this script again.
if [ "${1:-}" = --function ]; then
  shift
  "$@"
  exit
fi
timeout() {
  local options=("$1" "$2")
  shift 2
  if [ "$(type -t "$1")" = function ]; then set -- "$here/check.sh" --function "$@"; fi
  command timeout "${options[@]}" "$@"
}

[ $# -gt 0 ] || set -- environment smoke conformance sanitizer kernels beside whole translation peer compiled
for name; do run "$name"; done
python3 "$here/report.py" table "$out" "$here/commit"
exit $failed
