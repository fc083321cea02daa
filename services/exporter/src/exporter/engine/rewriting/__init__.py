"""ONNX to ONNX: what a graph takes, what it computes with, and what it computes at its end."""
