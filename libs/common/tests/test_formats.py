"""The names of formats: each format has one, and a wrong name says what is wrong with it."""

from __future__ import annotations

import pytest

from labelstream.formats import Format, queue_of

NAMES = [
    "onnx-fp32",
    "onnx-fp32-b4",
    "onnx-fp32-nms-b1",
    "onnx-int8",
    "onnx-int8-nms",
    "onnx-fp32-u8",
    "onnx-int8-u8-nms-b4",
    "openvino-fp32",
    "openvino-bf16",
    "openvino-int8",
    "openvino-fp32-u8",
    "torchscript-fp32",
    "tensorrt-fp16-sm_90",
    "tensorrt-int8-sm_120",
    "tensorrt-fp16-u8-sm_90",
    "rknn-fp16-rk3588",
    "rknn-int8-rk3588",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_and_written_the_same(name):
    assert Format.parse(name).name == name


def test_a_name_says_family_precision_batch_suppression_and_hardware():
    assert Format.parse("onnx-fp32-nms-b1") == Format("onnx", "fp32", nms=True, batch=1)
    assert Format.parse("tensorrt-fp16-sm_90") == Format("tensorrt", "fp16", target="sm_90")
    assert Format.parse("rknn-int8-rk3588").batch is None


def test_a_name_says_whether_the_graph_takes_bytes():
    assert Format.parse("openvino-fp32-u8") == Format("openvino", "fp32", u8=True)
    assert Format.parse("onnx-int8-u8-nms-b4") == Format("onnx", "int8", nms=True, batch=4, u8=True)
    assert not Format.parse("openvino-fp32").u8


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("caffe-fp32", "known families are onnx, openvino, torchscript, tensorrt, rknn"),
        ("onnx-fp64", "onnx comes in fp32, int8"),
        ("openvino-fp16", "openvino comes in fp32, bf16, int8"),
        ("onnx-fp32-fast", "it can't be 'fast'"),
        ("onnx-fp32-sm_90", "it can't be 'sm_90'"),
        ("onnx-fp32-b0", "it can't be 'b0'"),
        ("onnx-fp32-b1-nms", "'onnx-fp32-nms-b1' is"),
        ("onnx-fp32-nms-nms", "'onnx-fp32-nms' is"),
        ("onnx-fp32-nms-u8", "'onnx-fp32-u8-nms' is"),
        ("onnx-fp32-u8-u8", "'onnx-fp32-u8' is"),
        ("tensorrt-fp16-sm_90-u8", "'tensorrt-fp16-u8-sm_90' is"),
        ("torchscript-fp32-u8", "only onnx, openvino, tensorrt can take bytes"),
        ("rknn-int8-u8-rk3588", "only onnx, openvino, tensorrt can take bytes"),
        ("openvino-fp32-b4", "only onnx"),
        ("torchscript-fp32-nms", "only onnx"),
        ("tensorrt-fp16", "names the hardware, such as sm_90"),
        ("tensorrt-fp16-rk3588", "it can't be 'rk3588'"),
        ("rknn-int8", "names the hardware, such as rk3588"),
        ("rknn-int8-rv1103b", "it can't be 'rv1103b'"),
        ("onnx", "is no format"),
        ("", "is no format"),
        ("ONNX-fp32", "is no format"),
    ],
)
def test_a_name_of_no_format_is_refused_with_what_is_wrong(name, problem):
    with pytest.raises(ValueError, match="is no format") as refused:
        Format.parse(name)
    assert problem in str(refused.value)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "queue"),
    [
        ("onnx-int8-nms", "jobs.export.onnx"),
        ("openvino-bf16", "jobs.export.openvino"),
        ("openvino-fp32-u8", "jobs.export.openvino"),
        ("tensorrt-fp16-sm_90", "jobs.export.tensorrt.sm_90"),
        ("rknn-int8-rk3588", "jobs.export.rknn.rk3588"),
    ],
)
def test_jobs_wait_by_family_and_by_hardware_where_files_are_made_for_one(name, queue):
    assert Format.parse(name).queue == queue


def test_the_queue_of_a_family_is_the_one_of_its_formats():
    assert queue_of("tensorrt", "sm_90") == Format.parse("tensorrt-int8-sm_90").queue
