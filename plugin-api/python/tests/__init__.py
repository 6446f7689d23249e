"""Tests of the package, against a hub that stands in the test."""
