"""``sins.settings`` in the tests' environment; checks that load Django use it as well."""

from __future__ import annotations

import os
from importlib.util import find_spec

from tests.environment import ENVIRONMENT, NOWHERE

# Processes of one test run inherit what the first of them set.
IS_DATABASE_GIVEN = os.environ.get("DATABASE_URL", NOWHERE) != NOWHERE

os.environ.update(ENVIRONMENT)
os.environ.setdefault("DATABASE_URL", NOWHERE)
os.environ.setdefault("DATABASE_OWNER_URL", os.environ["DATABASE_URL"])

from sins.settings import *  # noqa: E402, F403 - the environment comes first
from sins.settings import INSTALLED_APPS  # noqa: E402

# A second registered module: it proves that the core knows no customer.
INSTALLED_APPS += [app for app in ("tests.sample",) if find_spec(app)]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
