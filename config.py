"""pyinfra's own configuration: the version floor, and inventories that are folders."""

from pyinfra import config

from citadelle.inventory import allow_directories

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<4"
allow_directories()
