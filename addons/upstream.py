"""Runs the upstream stage alone: mitmdump -s addons/upstream.py --mode reverse:http://HOST:PORT."""

from penstock.proxy.loader import stage

addons = [stage("upstream")]
