"""How good a detector is: COCO's average precision with bootstrap intervals, per class and slice. Needs numpy alone.

    boxes → matching → pool → ranking → precision   from boxes to average precision
    resampled, resampling                           its intervals
    operating, confusion, examples                  the detector as it would be used
    slicing, evaluating, measuring                  the parts of a split, and the whole
    values, summary                                 what comes out

The libraries that there are (pycocotools, faster-coco-eval, and torchmetrics, which calls one of them) count a list of
images once, in compiled code: a thousand resamples of the images, of two detectors in pairs, would be thousands of such
runs. Here the boxes are matched once, and each resample is a column of weights; tests hold the figures to pycocotools.
"""
