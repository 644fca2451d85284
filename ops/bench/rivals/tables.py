"""Makes the rivals' tables in a database of the benchmark."""

from __future__ import annotations

import pgtrigger
from django.apps import apps
from django.db import connections


def create() -> None:
    """Create the tables and triggers of all rivals, as the owner, and let the application write."""
    owner = connections["owner"]
    models = [*apps.get_app_config("rivals").get_models()]
    with owner.schema_editor() as editor:
        for model in models:
            editor.create_model(model)
    for tracked, trigger in pgtrigger.registered():
        if tracked._meta.app_label == "rivals":
            trigger.install(tracked, database="owner")
    application = connections["default"].settings_dict["USER"]
    with owner.cursor() as cursor:
        cursor.execute(f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{application}"')
        cursor.execute(f'GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO "{application}"')
