"""What is deployed: one folder per declaration, each with one `defs.yaml`."""
