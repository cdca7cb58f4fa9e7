"""Which route a request takes."""

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from components.serve.http import HttpError, Request, Route


class Router:
    """Finds a request's route in constant time."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        self._with_parameter: dict[str, dict[str, Route]] = {}
        for route in routes:
            start, brace, _ = route.path.partition("{")
            table = self._with_parameter if brace else self._fixed
            table.setdefault(start, {})[route.method] = route

    def find(self, request: Request) -> Route:
        """The route of a request, whose argument is set to the path's parameter, decoded.

        Raises:
            HttpError: 404 if there is no such path, 405 if it has no such method.
        """
        methods = self._fixed.get(request.path)
        if methods is None:
            methods = self._find_rarer(request)
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allowed = ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))
            raise HttpError(
                405, f"{request.path} takes {allowed}", f"allow: {allowed}\r\n".encode()
            )
        return route

    def _find_rarer(self, request: Request) -> dict[str, Route]:
        """What stands at a path with a parameter, of a whole URL, or percent-encoded."""
        path = request.path
        if not path.startswith("/"):
            path = _path_of(path)
        start = path.find("/", 1) + 1
        methods = self._with_parameter.get(path[:start])
        if methods is not None and start < len(path):
            request.argument = unquote(path[start:])
            return methods
        methods = self._fixed.get(unquote(path))
        if methods is None:
            raise HttpError(404, f"there is nothing at {request.path}")
        return methods


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError as error:
        raise HttpError(400, f"the address is wrong: {error}") from None
