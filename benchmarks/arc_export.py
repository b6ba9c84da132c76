"""Write a pretrained net without its optimisers and in half precision, as it comes with whet.

python benchmarks/arc_export.py runs/arc/state.safetensors src/whet/models/arc_net/model.safetensors
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from safetensors import safe_open

from whet.models.grid_net import load_grid_net, save_grid_net
from whet.tasks.arc.net_file import trained_on, trained_up_to


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    with safe_open(args.state, "pt") as file:
        step = file.metadata()["step"]
    net = load_grid_net(args.state).half()
    about = {"tasks": json.dumps(sorted(trained_on(args.state))), "side": str(trained_up_to(args.state))}
    save_grid_net(net, args.out, step=step, **about)
    print(f"{args.out}: step {step}, {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
