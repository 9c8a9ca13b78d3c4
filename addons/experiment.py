"""Runs the experiment stage alone: mitmdump -s addons/experiment.py --mode reverse:http://HOST:PORT."""

from penstock.proxy.loader import stage

addons = [stage("experiment")]
