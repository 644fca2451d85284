"""All settings of a location, read once from the environment and ``.env``.

A missing or malformed variable ends the start with a sentence that names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from events import spans
from sins.environment import read_environment
from sins.logs import logging_configuration
from sins.observing import start_sentry

BASE_DIR = Path(__file__).resolve().parent.parent


def _database(url: str, *, pool_size: int = 0) -> dict[str, Any]:
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    if pool_size:
        options["pool"] = {"min_size": 1, "max_size": pool_size, "timeout": 5}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": parts.port or 5432,
        "OPTIONS": options,
        # After a restart of PostgreSQL the next request works.
        "CONN_HEALTH_CHECKS": True,
    }


CONTRACT = read_environment()

LOCATION_ID = CONTRACT.location_id
NETWORK_ID = CONTRACT.network_id
NETWORK_SECRET = CONTRACT.network_secret
NETWORK_TIME_ZONE = CONTRACT.network_time_zone
WRAPPING_KEY = CONTRACT.wrapping_key
LOCATION_KEY = CONTRACT.location_key
PEERS = {name: peer.model_dump() for name, peer in CONTRACT.peers.items()}
KAFKA_BOOTSTRAP = CONTRACT.kafka_bootstrap
KAFKA_SECURITY = CONTRACT.kafka_security
ELASTICSEARCH_HOST = CONTRACT.elasticsearch_host
METRICS_ADDRESS = CONTRACT.metrics_address
FUZZY_HIT_LIMIT = CONTRACT.fuzzy_hit_limit
RETENTION_DAYS = CONTRACT.retention_days
LOAD_SAMPLE_DATA = CONTRACT.load_sample_data
ENABLED_MODULES = CONTRACT.enabled_modules
PUBLIC_URL = CONTRACT.public_url

SECRET_KEY = CONTRACT.secret_key
DEBUG = CONTRACT.debug
ALLOWED_HOSTS = CONTRACT.allowed_hosts
ROOT_URLCONF = "sins.urls"
WSGI_APPLICATION = "sins.wsgi.application"
APPEND_SLASH = False  # a redirect would lose what a write sent; see sins.middleware.either_slash

# The application's role serves; the owner's is there for `migrate` alone.
DATABASES = {"default": _database(CONTRACT.database_url, pool_size=CONTRACT.database_pool_size)}
if CONTRACT.database_owner_url:
    DATABASES["owner"] = _database(CONTRACT.database_owner_url)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "sins_cache",
    }
}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "events",
    "accounts",
    *ENABLED_MODULES,
    "cockpit",
    "consumers",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "django_htmx",
    "csp",
]

MIDDLEWARE = [
    "sins.middleware.request_context",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "sins.middleware.either_slash",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "sins.middleware.WriteRefusals",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

USE_TZ = True
TIME_ZONE = "UTC"
DISPLAY_TIME_ZONE = ZoneInfo(NETWORK_TIME_ZONE)
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]

STATIC_URL = "/static/"
# Served from where they lie, but for the container's image, which has collected them.
STATIC_ROOT = next((str(path) for path in [BASE_DIR / "staticfiles"] if path.is_dir()), None)
WHITENOISE_USE_FINDERS = STATIC_ROOT is None

AUTH_USER_MODEL = "accounts.Member"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {"user_attributes": ("username", "name")}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "accounts.adapter.ClosedAccountAdapter"
ACCOUNT_FORMS = {"login": "accounts.forms.SignInForm"}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_USER_MODEL_EMAIL_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGOUT_REDIRECT_URL
ACCOUNT_SESSION_REMEMBER = False  # desks are shared: the session ends with the browser
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "20/m/ip,5/300s/key"}
ALLAUTH_TRUSTED_PROXY_COUNT = CONTRACT.trusted_proxy_count

IS_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = IS_HTTPS and not DEBUG
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
# Two locations on one machine share their cookies' host: each has names of its own.
SESSION_COOKIE_NAME = f"sins_session_{LOCATION_ID}"
CSRF_COOKIE_NAME = f"sins_csrf_{LOCATION_ID}"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.roles.AdminOnly"],  # every view names its roles
    "DEFAULT_THROTTLE_RATES": {"token": "10/min"},
    "NUM_PROXIES": CONTRACT.trusted_proxy_count,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "sins.problems.problem_response",
    "PAGE_SIZE": 50,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "COMPACT_JSON": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "SINS",
    "DESCRIPTION": "Customers of many locations, each with its whole history.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
}

LOGGING_CONFIG = "sins.logs.configure"
LOGGING = logging_configuration(LOCATION_ID)

start_sentry(CONTRACT.sentry_dsn, LOCATION_ID)
spans.start(LOCATION_ID)
