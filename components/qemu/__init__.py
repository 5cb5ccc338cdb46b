"""The QEMU driver behind the local platform: node image, machines, their disks and the network between them.

Everything that belongs to one stack lives in one directory (see ``layout``); nothing needs privileges once the
host's tools are there, and nothing touches the host's own network beyond loopback addresses.
"""
