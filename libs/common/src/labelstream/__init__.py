"""What Labelstream's services must agree on: events, streams, blobs, labels, datasets, protection."""
