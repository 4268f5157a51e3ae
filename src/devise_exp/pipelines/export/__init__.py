"""A finished run as files for other programs: an ONNX model, or a folder in the Hub's shape."""
