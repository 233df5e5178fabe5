"""Judges terraform/ by the schema of Google's provider, with Terraform itself as the reader."""
