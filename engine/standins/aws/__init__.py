"""The `aws` plugin's stand-in: the EC2 resources that this project makes, on a local server that speaks EC2."""
