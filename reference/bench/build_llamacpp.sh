#!/bin/sh
# Builds the benchmarks of llama.cpp for this machine, outside the repository:
#
#     PIP=/path/to/venv/bin/pip reference/bench/build_llamacpp.sh DIR [SDIST.tar.gz]
#
# The source is the one inside the source package of llama-cpp-python, which pip
# downloads unless it is given, with the build tools (scikit-build-core) that it needs to read
# the package's metadata. The source stays in DIR/src, whose converter
# llamacpp_peer.py uses, and the programs become DIR/build/bin/llama-bench and
# llama-batched-bench.
# Needs cmake and a C++ compiler; a quarter of an hour on two cores.
set -eu
version=0.3.36
dir=${1:?usage: build_llamacpp.sh DIR [SDIST.tar.gz]}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
sdist=${2:-$dir/llama_cpp_python-$version.tar.gz}
[ -e "$sdist" ] || "${PIP:-pip}" download --no-deps --no-binary llama-cpp-python -d "$dir" "llama-cpp-python==$version"
if [ ! -e "$dir/src" ]; then
    mkdir "$dir/src.part"
    tar xzf "$sdist" -C "$dir/src.part" --strip-components 3 "llama_cpp_python-$version/vendor/llama.cpp"
    mv "$dir/src.part" "$dir/src"
fi
# Everything that this machine has: native instructions, OpenMP, llamafile's kernels.
cmake -S "$dir/src" -B "$dir/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DGGML_OPENMP=ON -DGGML_LLAMAFILE=ON \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF
nice cmake --build "$dir/build" --target llama-bench llama-batched-bench -j "${JOBS:-2}"
