"""The demo: one replica on an embedded Postgres, one real signed push, and the run that it becomes. `make demo`."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).parent
ROOT = HERE.parent
HOOKLINE = str(Path(sys.executable).with_name("hookline"))
PORT = os.environ.get("PORT", "8000")
URL = f"http://127.0.0.1:{PORT}"


def main() -> int:
    """Start a replica, send it a push, watch the run; then go on serving, unless told `--once`."""
    os.environ["HOOKLINE_GITHUB_SECRETS"] = secret = secrets.token_hex(16)
    print(f"Starting Postgres and one replica with examples/deploy.py at {URL} ...", flush=True)
    replica = subprocess.Popen(
        [HOOKLINE, "dev", "examples.deploy:app", "--port", PORT, "--data", str(ROOT / ".demo" / "postgres")],
        cwd=ROOT,
        env=os.environ | {"HOOKLINE_LOG_LEVEL": "info"},
    )
    signal.signal(signal.SIGTERM, lambda *_: replica.terminate())
    try:
        if not ready(replica):
            return 1
        print("\nSending it a push to octo/site, signed as GitHub signs:", flush=True)
        sent = hookline("send", "github", "push", "--file", str(HERE / "payloads" / "push.json"), "--secret", secret)
        if sent.returncode != 0:
            return sent.returncode
        print(sent.stdout)
        watched = subprocess.run([HOOKLINE, "runs", "watch", json.loads(sent.stdout)["runs"][0], "--url", URL])
        if "--once" in sys.argv or watched.returncode != 0:
            return watched.returncode
        print(f"\nServing at {URL} until Ctrl-C. Send it another:", flush=True)
        print(f"  .venv/bin/hookline send github push -f examples/payloads/push.json --secret {secret} --url {URL}")
        return replica.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        replica.terminate()
        replica.wait()


def ready(replica: subprocess.Popen[bytes]) -> bool:
    """Wait until the replica can take deliveries; `False` if it ended, or took a minute."""
    for _ in range(600):
        try:
            with urlopen(f"{URL}/readyz"):
                return replica.poll() is None
        except (URLError, OSError):
            if replica.poll() is not None:
                return False
            time.sleep(0.1)
    return False


def hookline(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line against the replica."""
    return subprocess.run([HOOKLINE, *arguments, "--url", URL], text=True, stdout=subprocess.PIPE)


sys.exit(main())
