"""The WSGI application: pages and API. The front runs it behind a2wsgi, beside the raw ASGI doors."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.django_settings")

application = get_wsgi_application()
