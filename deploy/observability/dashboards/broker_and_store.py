"""RabbitMQ, and the object store where it is SeaweedFS."""

from __future__ import annotations

from .asking import AGAIN, quantile, rate
from .panels import Dashboard, Limits, Query, Row, lines, number

_STREAMED = 'protocol="stream"'
_QUEUES = 'queue=~"(jobs|requests)[.].+"'
_DISK = "SeaweedFS_volumeServer_resource"
_FAILED = 'SeaweedFS_s3_request_total{code=~"5.."}'

_BROKER = Row(
    "Broker",
    (
        number(
            "Nodes",
            "Nodes that answer. With three, one may be away; without a majority nothing is confirmed.",
            "none",
            Query('sum(up{job="rabbitmq"})', "up"),
            Query('count(up{job="rabbitmq"})', "of"),
        ),
        number(
            "Alarms",
            "Disk and memory alarms: while one stands, the broker takes no message.",
            "none",
            Query(
                "sum(rabbitmq_alarms_free_disk_space_watermark) + sum(rabbitmq_alarms_memory_used_watermark)", "alarms"
            ),
            limits=Limits(1, 1),
        ),
        number(
            "Disk left",
            "Above the limit at which the broker takes no message any more.",
            "bytes",
            Query("min(rabbitmq_disk_space_available_bytes - rabbitmq_disk_space_available_limit_bytes)", "left"),
        ),
        number(
            "Memory",
            "Of that at which the broker takes no message any more.",
            "percentunit",
            Query("max(rabbitmq_process_resident_memory_bytes / rabbitmq_resident_memory_limit_bytes)", "used"),
            limits=Limits(0.6, 0.8),
        ),
        number(
            "Connections",
            "Of services, workers, producers and onlookers.",
            "none",
            Query("sum(rabbitmq_connections)", "open"),
        ),
        number(
            "Unreadable jobs",
            "Messages in jobs.dead: somebody wrote into a queue what is no job.",
            "none",
            Query('max(rabbitmq_queue_messages{queue="jobs.dead"}) or vector(0)', "messages"),
            limits=Limits(1, 1),
        ),
    ),
)

_STREAMS = Row(
    "Streams",
    (
        lines(
            "Messages in and out",
            "Taken from publishers, confirmed to them, and given to readers, a second.",
            "cps",
            Query(rate(f"rabbitmq_global_messages_received_total{{{_STREAMED}}}"), "received"),
            Query(rate(f"rabbitmq_global_messages_confirmed_total{{{_STREAMED}}}"), "confirmed"),
            Query(rate(f"rabbitmq_global_messages_delivered_total{{{_STREAMED}}}"), "delivered"),
        ),
        lines(
            "Publishers and readers",
            "Of streams, connected now. Each service that answers a stream has one of each.",
            "none",
            Query(f"sum(rabbitmq_global_publishers{{{_STREAMED}}})", "publishers"),
            Query(f"sum(rabbitmq_global_consumers{{{_STREAMED}}})", "readers"),
        ),
        lines(
            "Length of streams",
            "Messages in each stream. An input stream with a retention limit levels off; our own only grow.",
            "short",
            Query('max by (queue) (rabbitmq_queue_messages{queue!~"(jobs|requests)[.].+"})', "{{queue}}"),
        ),
        lines(
            "Disk",
            "Free, and the limit below which the broker takes no message.",
            "bytes",
            Query("rabbitmq_disk_space_available_bytes", "{{instance}} free"),
            Query("rabbitmq_disk_space_available_limit_bytes", "{{instance}} limit"),
        ),
        lines(
            "Memory",
            "Used, and the limit above which the broker takes no message.",
            "bytes",
            Query("rabbitmq_process_resident_memory_bytes", "{{instance}} used"),
            Query("rabbitmq_resident_memory_limit_bytes", "{{instance}} limit"),
        ),
        lines(
            "Stream protocol refusals",
            "Commands that the broker refused since it started.",
            "none",
            Query("sum(rabbitmq_global_stream_error_access_refused_total)", "without rights"),
            Query("sum(rabbitmq_global_stream_error_stream_does_not_exist_total)", "no such stream"),
            Query("sum(rabbitmq_global_stream_error_authentication_failure_total)", "wrong password"),
        ),
    ),
)

_WORK = Row(
    "Queues",
    (
        lines(
            "Waiting",
            "Jobs and requests that nobody has taken yet.",
            "none",
            Query(f"max by (queue) (rabbitmq_queue_messages_ready{{{_QUEUES}}})", "{{queue}}"),
        ),
        lines(
            "Taken, not acknowledged",
            "Workers acknowledge at once: what stays here is being claimed.",
            "none",
            Query(f"max by (queue) (rabbitmq_queue_messages_unacked{{{_QUEUES}}})", "{{queue}}"),
        ),
        lines(
            "Takers",
            "Workers and deciders that wait for something in each queue; one that has a job takes no other.",
            "none",
            Query(f"max by (queue) (rabbitmq_queue_consumers{{{_QUEUES}}})", "{{queue}}"),
        ),
    ),
)

_STORE = Row(
    "Object store",
    (
        lines(
            "Requests",
            "A second, by kind.",
            "reqps",
            Query(rate("SeaweedFS_s3_request_total", "type"), "{{type}}"),
        ),
        lines(
            "Failures",
            "Share of the requests that the store failed over.",
            "percentunit",
            Query(f"({rate(_FAILED)} or vector(0)) / {rate('SeaweedFS_s3_request_total')}", "failed"),
            limits=Limits(0.001, 0.01),
        ),
        lines(
            "Latency",
            "That 99 of 100 requests stay under, by kind.",
            "s",
            Query(quantile(0.99, "SeaweedFS_s3_request_seconds", by="type"), "{{type}}"),
        ),
        lines(
            "Disk",
            "Of each directory of the volume servers: what is left, and all of it.",
            "bytes",
            Query(f'{_DISK}{{type="avail"}}', "{{instance}} {{name}} left"),
            Query(f'{_DISK}{{type="all"}}', "{{instance}} {{name}} all"),
        ),
        lines(
            "Stored",
            "What the volumes hold, by bucket; deleted_bytes is given back by a vacuum.",
            "bytes",
            Query("sum by (collection, type) (SeaweedFS_volumeServer_total_disk_size)", "{{collection}} {{type}}"),
        ),
        lines(
            "Asked again",
            "Calls of each program that went through only when they were made a second time, a second.",
            "cps",
            Query(rate(AGAIN, "program"), "{{program}}"),
        ),
    ),
)

DASHBOARD = Dashboard(
    "broker-and-store",
    "Labelstream: broker and store",
    "RabbitMQ, and the object store where it is SeaweedFS.",
    (),
    (_BROKER, _STREAMS, _WORK, _STORE),
)
