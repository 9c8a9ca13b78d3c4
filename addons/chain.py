"""Runs the whole chain: mitmdump -s addons/chain.py --mode reverse:http://HOST:PORT."""

from penstock.proxy.loader import chain

addons = [chain()]
