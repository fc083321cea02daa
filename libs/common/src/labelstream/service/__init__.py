"""What every service process has: settings, logs, metrics, health and a runner with signals and exit codes."""
