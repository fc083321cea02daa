"""Work that exactly one worker should do: queues over RabbitMQ, leases and fencing over S3."""
