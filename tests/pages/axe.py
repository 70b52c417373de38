"""What axe-core finds wrong with a page as it stands."""

from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
FIND = """async () => (await axe.run()).violations.flatMap(
  (found) => found.nodes.map((node) => `${found.id}: ${node.html.slice(0, 160)}`))"""
# A world of its own beside the page's: the page's policy, which forbids eval, stays in force.
WORLD = "axe"


def violations(page: Page) -> list[str]:
    """Return everything that a machine can find, one line each."""
    devtools = page.context.new_cdp_session(page)
    frame = devtools.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = devtools.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": WORLD})[
        "executionContextId"
    ]

    def run(expression: str) -> list[str]:
        answer = devtools.send(
            "Runtime.evaluate",
            {
                "expression": expression,
                "contextId": world,
                "awaitPromise": True,
                "returnByValue": True,
            },
        )
        assert "exceptionDetails" not in answer, answer
        found: list[str] = answer["result"].get("value") or []
        return found

    run(f"{AXE.read_text()}; undefined")
    found = run(f"({FIND})()")
    devtools.detach()
    return found
