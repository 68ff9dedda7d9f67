"""Write the dashboards: `python grafana/build.py` (`make dashboards`) builds each of `boards` to dashboards/*.json, and
the alert rules to provisioning/alerting/faultline.json.

The JSON is committed, so that a Grafana can be pointed at it without any of this; a test compares the two.
"""

import json
import sys
from pathlib import Path
from typing import Any

from boards import BOARDS, rules
from grafana_foundation_sdk.cog.encoder import JSONEncoder

FOLDER = Path(__file__).parent / "dashboards"
RULES = Path(__file__).parent / "provisioning" / "alerting" / "faultline.json"


def render(board: Any) -> str:
    """A dashboard or the rules as the text of their file: sorted keys, so that a change shows as a small difference."""
    return json.dumps(board, cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    texts = {FOLDER / f"{name}.json": render(build()) for name, build in BOARDS.items()}
    texts[RULES] = render(rules.build())
    for path, text in texts.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
