"""Judging HTTP calls by the discovery documents of Google's own API client."""
