"""What a storage on AWS is made of, and what has to be true of a region before it can be made there."""
