"""Chromium without a window, told what to do over a pair of pipes by the DevTools protocol."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time

PROGRAM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
OPTIONS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--remote-debugging-pipe", "--disable-background-networking", "--disable-component-update",
]  # fmt: skip

# The browser reads from file descriptor 3 and writes to 4.
ON_3_AND_4 = """import fcntl, os, sys
_, reading, writing, program, *options = sys.argv
reading, writing = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in (reading, writing))
os.dup2(reading, 3), os.dup2(writing, 4)
os.execv(program, [program, *options])
"""


class Browser:
    """A page in a browser; keeps what it asks of the network and writes to the console."""

    def __init__(self, folder):
        to_browser, self.writing = os.pipe()
        self.reading, from_browser = os.pipe()
        start = [sys.executable, "-c", ON_3_AND_4, str(to_browser), str(from_browser), PROGRAM]
        self.process = subprocess.Popen(
            [*start, *OPTIONS, f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(to_browser, from_browser),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.ids, self.session = b"", itertools.count(1), None
        self.requests, self.messages = [], []
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        sent = {"id": next(self.ids), "method": method, "params": params}
        if self.session:
            sent["sessionId"] = self.session
        os.write(self.writing, json.dumps(sent).encode() + b"\0")
        while True:
            found = self._receive()
            if found.get("id") == sent["id"]:
                assert "error" not in found, found
                return found["result"]

    def _receive(self, timeout=60):
        while b"\0" not in self.buffer:
            assert select.select([self.reading], [], [], timeout)[0], "the browser says nothing"
            part = os.read(self.reading, 1 << 20)
            assert part, "the browser has ended"
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        found = json.loads(message)
        params = found.get("params", {})
        match found.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"][:200])
            case "Runtime.exceptionThrown":
                self.messages.append(params["exceptionDetails"])
            case "Runtime.consoleAPICalled" | "Log.entryAdded":
                self.messages.append(params)
        return found

    def value(self, expression):
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression, seconds=30):
        """Wait until an expression is true; give back its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.value(expression):
                return found
            time.sleep(0.02)
        raise AssertionError(f"{expression} is false after {seconds} s: {self.messages}")

    def stroke(self, points):
        """Draw with the left button of the mouse along points of the window."""
        self._mouse("mousePressed", points[0], button="left", clickCount=1)
        for point in points[1:]:
            self._mouse("mouseMoved", point, button="left", buttons=1)
        self._mouse("mouseReleased", points[-1], button="left", clickCount=1)

    def _mouse(self, kind, point, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=point[0], y=point[1], **more)

    def touch(self, points):
        """Draw with a finger."""
        for i, (x, y) in enumerate(points):
            kind = "touchMove" if i else "touchStart"
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def choose(self, selector, file):
        """Give a file to an input element."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def look(self, width, height, scheme, scale=1):
        """Set the size of the window and the colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=width < 600,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def picture(self, file):
        """Write the whole page to a PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))

    def close(self):
        os.close(self.writing)  # it ends when nobody writes
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self.reading)
