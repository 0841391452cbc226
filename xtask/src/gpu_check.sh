#!/bin/sh
# Runs gpu-check with the libraries of the pack, and those of NVIDIA that PyTorch brings: sh gpu-check.sh ARGUMENTS.
# PYTHON names the Python with torch and transformers; NVIDIA_LIBS other folders with CUDA 13 and cuDNN 9.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
if [ -z "${NVIDIA_LIBS:-}" ]; then
    NVIDIA_LIBS=$("$python" -c 'import glob, sysconfig
print(":".join(sorted(glob.glob(sysconfig.get_paths()["purelib"] + "/nvidia/*/lib"))))')
fi
export LD_LIBRARY_PATH="$NVIDIA_LIBS${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export ORT_DYLIB_PATH="$here/lib/libonnxruntime.so.1.31.1"
exec "$here/bin/gpu-check" --python "$python" --script "$here/gpu_speed.py" "$@"
