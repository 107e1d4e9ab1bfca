"""The configuration: what the command line, the environment and `diptych.yaml` say, as one typed object.

A setting is declared once, in `model`, and everything else is read off it. Files are read here and nothing is changed;
what a setting means is known where it is used.
"""

from diptych.config.forms import masked
from diptych.config.load import ConfigurationError, Reading, load, read
from diptych.config.model import Configuration, Origin, Setting, Shown

__all__ = ["Configuration", "ConfigurationError", "Origin", "Reading", "Setting", "Shown", "load", "masked", "read"]
