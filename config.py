"""pyinfra's own configuration: the version floor, inventories that are folders, facts that fail their own host alone."""

from pyinfra import config

from citadelle.facts.base import contain_stock_facts
from citadelle.inventory import allow_directories

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<4"
allow_directories()
contain_stock_facts()
