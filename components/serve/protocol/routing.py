"""Which route answers a request."""

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from components.serve.protocol.http import HttpError, Request, Route


class Router:
    """Finds the route of a request in constant time."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        self._with_parameter: dict[str, dict[str, Route]] = {}
        for route in routes:
            prefix, brace, _ = route.path.partition("{")
            table = self._with_parameter if brace else self._fixed
            table.setdefault(prefix, {})[route.method] = route

    def find(self, request: Request) -> Route:
        """The route of a request; the request's argument is set to the decoded path parameter.

        Raises:
            HttpError: 400 if the path is not valid, 404 if no route has it, 405 if none of its
                routes has the method.
        """
        methods = self._fixed.get(request.path)
        if methods is None:
            methods = self._find_by_other_spelling(request)
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allowed = ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))
            raise HttpError(
                405, f"{request.path} allows {allowed}", f"allow: {allowed}\r\n".encode()
            )
        return route

    def _find_by_other_spelling(self, request: Request) -> dict[str, Route]:
        """The routes of a path that has a parameter, is a whole URL, or is percent-encoded."""
        path = request.path
        if path[:1] != "/":
            path = _path_of(path)
        prefix_length = path.find("/", 1) + 1
        methods = self._with_parameter.get(path[:prefix_length])
        argument = path[prefix_length:]
        if methods is not None and argument:
            request.argument = unquote(argument) if "%" in argument else argument
            return methods
        methods = self._fixed.get(unquote(path))
        if methods is None:
            raise HttpError(404, f"there is no {request.path}: /docs lists the paths")
        return methods


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError as error:
        raise HttpError(400, f"the URL is not valid: {error}") from None
