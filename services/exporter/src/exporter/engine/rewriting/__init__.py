"""ONNX to ONNX: what a graph computes with, and what it computes at its end."""
