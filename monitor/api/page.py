"""The page: one HTML document from a template, one style sheet, one script, all served from here."""

from pathlib import Path

import msgspec
from fastapi import FastAPI, Request
from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from monitor.api.labels import LABELS
from monitor.api.services import Services
from monitor.words import LANGUAGES

HERE = Path(__file__).parent
MODULES = sorted(file.stem for file in (HERE / "static").glob("*.js") if file.stem != "app")


def install(app: FastAPI, services: Services) -> None:
    """`/` and `/static`. The document holds no data of anybody: the script fetches it once one is logged in."""
    loader = FileSystemLoader(HERE / "templates")
    environment = Environment(loader=loader, autoescape=select_autoescape(default=True), enable_async=False)
    template = environment.get_template("page.html")
    labels = _as_script(LABELS)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index(request: Request) -> Response:
        language = _language(request)
        words = {key: texts[LANGUAGES.index(language)] for key, texts in LABELS.items()}
        html = template.render(language=language, t=words, labels=labels, version=services.version, modules=MODULES)
        return HTMLResponse(html, headers={"Cache-Control": "no-cache"})

    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


def _language(request: Request) -> str:
    """The one chosen before, else the browser's first that we speak, else English."""
    if (chosen := request.cookies.get("faultline_language")) in LANGUAGES:
        return str(chosen)
    for part in request.headers.get("accept-language", "").split(","):
        if (code := part.strip()[:2].lower()) in LANGUAGES:
            return code
    return "en"


def _as_script(labels: dict[str, tuple[str, ...]]) -> Markup:
    """JSON that may stand inside a script element: no `<` can end it early."""
    text = msgspec.json.encode(labels).decode()
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
