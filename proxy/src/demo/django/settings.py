"""Django's settings for the demo."""
import os

SECRET_KEY = "only for the demo"
INSTALLED_APPS = ["shop"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["DEMO_DATABASE"],
        "USER": "postgres",
        "HOST": "127.0.0.1",
        "PORT": os.environ["DEMO_PORT"],
    }
}
