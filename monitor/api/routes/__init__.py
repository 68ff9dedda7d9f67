"""One module per subject; each has `routes(api) -> APIRouter`."""
