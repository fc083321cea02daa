"""The mirror: what `training-events` and `model-events` say, shown in MLflow. A view, which can be made anew."""
