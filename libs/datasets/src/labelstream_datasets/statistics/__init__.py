"""What a dataset looks like in figures: counted here, shown as a page by `page`, with pictures by `sheet`."""

from labelstream_datasets.statistics.measuring import Original, measure
from labelstream_datasets.statistics.model import Finding, Statistics

__all__ = ["Finding", "Original", "Statistics", "measure"]
