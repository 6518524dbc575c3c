"""The servers that projects are deployed on, with clients that come over the network."""
