"""What tracing costs whoever does not want it: nothing, not even the package."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "opentelemetry":
            raise ModuleNotFoundError("not here", name=name)
sys.meta_path.insert(0, Nowhere())
from labelstream.errors import Misconfigured
from labelstream.service.settings import TracingSettings
from labelstream.service.tracing import begin, tracing
import labelstream.service.serve, labelstream.producer, labelstream.jobs.worker, labelstream.service.tracing_http
with tracing(TracingSettings(), "p"):
    begin("work", "w", "").end()
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
try:
    with tracing(TracingSettings(endpoint="http://127.0.0.1:4318/v1/traces"), "p"):
        pass
except Misconfigured as error:
    print(error)
"""


def test_the_package_is_not_needed_and_who_asks_for_traces_without_it_is_told_so():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "labelstream-common[tracing]" in done.stdout
    assert "LABELSTREAM_TRACING__ENDPOINT" in done.stdout
