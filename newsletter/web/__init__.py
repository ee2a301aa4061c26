"""The web: public pages on Starlette. Knows no SQL."""

from newsletter.web.public import public_app
from newsletter.web.serve import serve

__all__ = ["public_app", "serve"]
