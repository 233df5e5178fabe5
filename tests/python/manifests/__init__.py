"""Judges deploy/ and the Dockerfile: by Google's and Kubernetes' schemas, by the program's own settings, by hadolint."""
