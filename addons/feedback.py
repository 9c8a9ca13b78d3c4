"""Runs the feedback stage alone: mitmdump -s addons/feedback.py --mode reverse:http://HOST:PORT."""

from penstock.proxy.loader import stage

addons = [stage("feedback")]
