"""Loading of Apprise: when first needed (47 MB), quiet, and kept from doing what we do ourselves."""

import logging
from functools import lru_cache
from typing import Any


def load() -> None:
    """Import Apprise and all of its services, so that later calls are quick."""
    plugins()


@lru_cache(maxsize=1)
def asset() -> Any:
    """Return the settings of Apprise: no disk, no plug-in paths, no redirects, no retries of its own."""
    apprise = library()
    return apprise.AppriseAsset(
        app_id="aggregator",
        app_desc="aggregator",
        async_mode=False,
        http_redirects=False,
        secure_logging=True,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        default_service_retry=0,
        service_timeout=0,
    )


@lru_cache(maxsize=1)
def plugins() -> Any:
    """Return Apprise's services by schema."""
    library()
    from apprise.manager_plugins import NotificationManager

    manager = NotificationManager()
    return {schema: manager[schema] for schema in manager.schemas()}


@lru_cache(maxsize=1)
def library() -> Any:
    """Return Apprise, loaded when first needed (47 MB), with quiet loggers."""
    import apprise

    for name in ("apprise", "urllib3", "requests", "slixmpp", "paho"):
        logger = logging.getLogger(name)
        # They print URLs with tokens: at DEBUG, and for mistakes at ERROR. We read their words ourselves.
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        logger.addHandler(logging.NullHandler())
    from aggregator.notify.http_capture import install_capture

    install_capture()
    return apprise
