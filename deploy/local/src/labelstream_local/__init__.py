"""The embedded stack: RabbitMQ, SeaweedFS and the services as processes of this machine."""
