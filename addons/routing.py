"""Runs the routing stage alone: mitmdump -s addons/routing.py --mode reverse:http://HOST:PORT."""

from penstock.proxy.loader import stage

addons = [stage("routing")]
