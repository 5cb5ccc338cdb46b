"""The backup add-on's whole flow, run for real against a running storage."""
