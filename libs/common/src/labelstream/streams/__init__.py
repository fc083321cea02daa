"""RabbitMQ streams: ports, the real runtime and its double, and rule 2's journal."""
