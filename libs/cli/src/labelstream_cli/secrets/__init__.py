"""The secrets of a deployment by containers: making them, and handing them to Kubernetes."""
