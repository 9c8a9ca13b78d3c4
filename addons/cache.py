"""Runs the cache stage alone: mitmdump -s addons/cache.py --mode reverse:http://HOST:PORT."""

from penstock.proxy.loader import stage

addons = [stage("cache")]
