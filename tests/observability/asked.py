"""What an expression in PromQL asks for: the names of its metrics."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What others than our own code tell, as far as alerts and dashboards ask for it. The live test of tests/pipeline shows
# that the first two groups are there; the others have no place in a small stack.
FOREIGN = {
    # RabbitMQ, and what Prometheus and its client libraries tell of each process
    "up", "ALERTS", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds",
    "rabbitmq_alarms_free_disk_space_watermark", "rabbitmq_alarms_memory_used_watermark", "rabbitmq_connections",
    "rabbitmq_disk_space_available_bytes", "rabbitmq_disk_space_available_limit_bytes", "rabbitmq_global_consumers",
    "rabbitmq_global_messages_confirmed_total", "rabbitmq_global_messages_delivered_total",
    "rabbitmq_global_messages_received_total", "rabbitmq_global_publishers", "rabbitmq_process_resident_memory_bytes",
    "rabbitmq_global_stream_error_access_refused_total", "rabbitmq_global_stream_error_authentication_failure_total",
    "rabbitmq_global_stream_error_stream_does_not_exist_total", "rabbitmq_queue_consumers", "rabbitmq_queue_messages",
    "rabbitmq_queue_messages_ready", "rabbitmq_queue_messages_unacked", "rabbitmq_resident_memory_limit_bytes",
    # SeaweedFS
    "SeaweedFS_s3_request_total", "SeaweedFS_s3_request_seconds_bucket", "SeaweedFS_volumeServer_resource",
    "SeaweedFS_volumeServer_total_disk_size",
    # RabbitMQ from 4 on; Prometheus and Alertmanager of themselves
    "rabbitmq_unreachable_cluster_peers_count",
    "alertmanager_notifications_failed_total", "prometheus_notifications_alertmanagers_discovered",
    "prometheus_rule_evaluation_failures_total",
}  # fmt: skip
_WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan", "by", "without", "on", "ignoring"}
_OURS = re.compile(r"""(\w*)\(\s*["'](labelstream_\w+)["']""")


def metrics_of(expression: str) -> set[str]:
    """Return the names of the metrics that an expression asks for."""
    bare = re.sub(r'"[^"]*"|\'[^\']*\'', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    names = re.findall(r"(?<![\w.$])[A-Za-z_:][\w:]*(?!\w|\s*\()", bare)
    return {name for name in names if name.lower() not in _WORDS and not re.fullmatch(r"\d+[smhdw]", name)}


def ours() -> set[str]:
    """Return every series that our own code tells."""
    found: set[str] = set()
    for file in [*ROOT.glob("services/*/src/**/*.py"), *ROOT.glob("libs/*/src/**/*.py")]:
        for kind, name in _OURS.findall(file.read_text()):
            found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "Histogram" else {name}
    return found
