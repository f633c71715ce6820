"""The only room that knows Dagster: declarations become assets, checks, schedules and sensors."""
