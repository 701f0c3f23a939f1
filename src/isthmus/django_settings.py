"""Django's settings, derived from `isthmus.settings`; nothing else reads the environment."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from isthmus.settings import load

ISTHMUS = load()


def _secret_key(path: Path) -> str:
    """Return the installation's signing key, made on first use and readable by the owner only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text().strip()


def _database(url: str) -> dict[str, Any]:
    if not url:
        return {
            "ENGINE": "isthmus.ledger.sqlite",
            "NAME": str(ISTHMUS.book_path),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=25000;",
            },
        }
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
    }


SECRET_KEY = _secret_key(ISTHMUS.data_dir / "keys" / "signing.key")
DEBUG = False
ALLOWED_HOSTS = [host.strip() for host in ISTHMUS.allowed_hosts.split(",") if host.strip()]
DATABASES = {"default": _database(ISTHMUS.database_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_htmx",
    "isthmus.ledger.apps.LedgerConfig",
    "isthmus.identity.apps.IdentityConfig",
    "isthmus.blueprint.apps.BlueprintConfig",
    "isthmus.hub.apps.HubConfig",
    "isthmus.hub.sync.apps.SyncConfig",
    "isthmus.practices.monitoring.apps.MonitoringConfig",
    "isthmus.practices.incident.apps.IncidentConfig",
    "isthmus.practices.configuration.apps.ConfigurationConfig",
    "isthmus.practices.change.apps.ChangeConfig",
    "isthmus.practices.approval.apps.ApprovalConfig",
    "isthmus.practices.problem.apps.ProblemConfig",
    "isthmus.practices.service_level.apps.ServiceLevelConfig",
    "isthmus.practices.on_call.apps.OnCallConfig",
    "isthmus.web.apps.WebConfig",
]
FILE_UPLOAD_HANDLERS = ["isthmus.web.uploads.UnnamedUploadHandler"]
MIDDLEWARE = [
    "isthmus.web.middleware.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "isthmus.web.middleware.CallerMiddleware",
    "isthmus.web.middleware.TextMiddleware",
]
ROOT_URLCONF = "isthmus.web.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # First, so that our sign-in pages win over those that allauth brings.
        "DIRS": [str(Path(__file__).parent / "web" / "templates")],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "isthmus.web.context.page",
            ],
            "builtins": ["isthmus.web.templatetags.isthmus"],
        },
    }
]
AUTH_USER_MODEL = "identity.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# A console that says of itself that it is reached by HTTPS never sends its cookies in the clear.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ISTHMUS.secure_cookies or ISTHMUS.base_url.startswith("https://")
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("username",)},
    },
]
ACCOUNT_ADAPTER = "isthmus.identity.adapter.AccountAdapter"
MFA_ADAPTER = "isthmus.identity.adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
ACCOUNT_USER_MODEL_EMAIL_FIELD = None
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key", "reauthenticate": "10/m/user"}
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_NAME = "isthmus_session"
CSRF_COOKIE_NAME = "isthmus_csrf"
CSRF_COOKIE_HTTPONLY = False
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "isthmus.web.console.failures.csrf"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
