"""The exporter: exports, proves, seals, signs and publishes models; promotes the better one."""
