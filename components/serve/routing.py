"""Which route a request takes."""

from collections.abc import Iterable
from urllib.parse import unquote

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
            start = request.path.find("/", 1) + 1
            methods = self._with_parameter.get(request.path[:start])
            if methods is None or start == len(request.path):
                raise HttpError(404, f"there is nothing at {request.path}")
            request.argument = unquote(request.path[start:])
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allowed = ", ".join(sorted(methods))
            raise HttpError(
                405, f"{request.path} takes {allowed}", f"allow: {allowed}\r\n".encode()
            )
        return route
