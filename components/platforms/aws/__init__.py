"""The aws platform: EC2 instances with encrypted volumes, in one region."""
