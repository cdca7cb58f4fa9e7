"""A real browser, driven as a person does: by its keys, its buttons, and what it shows."""

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


class Browser:
    """One page of Chromium, spoken to in the DevTools protocol over two pipes.

    Attributes:
        complaints: what the page wrote to its console, and exceptions that nobody caught.
    """

    def __init__(self, orders: BinaryIO, reports: BinaryIO) -> None:
        self._orders = orders
        self._reports = reports
        self._number = 0
        self._session: dict[str, str] = {}
        self.complaints: list[Any] = []
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        found = self.tell("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": found["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give an order, and wait until it is done."""
        self._number += 1
        order = {"id": self._number, "method": method, "params": parameters, **self._session}
        self._orders.write(json.dumps(order).encode() + b"\0")
        self._orders.flush()
        while True:
            message = json.loads(self._read())
            if message.get("method") in {
                "Runtime.consoleAPICalled",
                "Runtime.exceptionThrown",
                "Log.entryAdded",
            }:
                self.complaints.append(message["params"])
            if message.get("id") == self._number:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result

    def _read(self) -> bytes:
        message = bytearray()
        while (byte := self._reports.read(1)) != b"\0":
            assert byte, "the browser ended"
            message += byte
        return bytes(message)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        result = self.tell(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + 60
        while not self.evaluate(condition):
            assert time.monotonic() < deadline, f"{condition} is not so: {self.text()}"
            time.sleep(0.02)

    def open(self, address: str) -> None:
        self.tell("Page.navigate", url="about:blank")
        self.tell("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete'")

    def text(self) -> str:
        """What a person can read."""
        text: str = self.evaluate("document.body.innerText")
        return text

    def press(self, key: str, text: str = "") -> None:
        code = {"Enter": 13, "Tab": 9}[key]
        for kind in ("keyDown", "keyUp"):
            self.tell(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    def write(self, text: str) -> None:
        self.tell("Input.insertText", text=text)

    def be(self, *, width: int = 1100, height: int = 900, dark: bool = False) -> None:
        """Be a window of this size, on a screen of this colour scheme."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])

    def take_picture(self, file: Path) -> None:
        picture = self.tell("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(picture))


@contextmanager
def browse(folder: Path) -> Iterator[Browser]:
    """Run Chromium with a profile in a folder until the block ends."""
    its_orders, orders = os.pipe()
    reports, its_reports = os.pipe()
    options = (
        "--headless --no-sandbox --disable-gpu --disable-background-networking "
        f"--remote-debugging-pipe --user-data-dir={folder}"
    )
    with (
        open(orders, "wb") as writer,
        open(reports, "rb") as reader,
        subprocess.Popen(
            ["bash", "-c", f"exec chromium {options} 3<&{its_orders} 4>&{its_reports}"],
            pass_fds=(its_orders, its_reports),
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        os.close(its_orders)
        os.close(its_reports)
        try:
            yield Browser(writer, reader)
        finally:
            process.terminate()
