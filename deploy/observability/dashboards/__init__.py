"""The Grafana dashboards as code: `make dashboards` writes ../grafana/dashboards from it."""
