#!/bin/sh
# Debian's own image has nothing but the release to install from; the rest is the user-data's.
