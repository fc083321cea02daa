"""Files in S3: the port, boto3 behind it, its double, and leases by conditional writes."""
