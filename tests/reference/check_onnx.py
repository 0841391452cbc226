"""The full check of onnx.checker over files: python tests/reference/check_onnx.py FILE.onnx ..."""

import sys

import onnx

for path in sys.argv[1:]:
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path, load_external_data=False)
    assert model.ir_version == 10 and {o.domain: o.version for o in model.opset_import}[""] == 21, path
    print(f"{path}: {len(model.graph.node)} nodes, accepted")
