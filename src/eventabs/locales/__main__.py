"""`python -m eventabs.locales` brings the catalogue up to date; with --check it only looks, and exits 1 if it is not."""

import sys
from pathlib import Path

from eventabs.locales.catalogs import as_mo, as_po, extracted, faults, updated

HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Write eventabs.po and eventabs.mo, or --check them. Returns the exit code."""
    po = HERE / "zh" / "LC_MESSAGES" / "eventabs.po"
    mo = po.with_suffix(".mo")
    catalog = updated(extracted(HERE.parent), po.read_bytes() if po.exists() else b"")
    problems = list(faults(catalog))
    if arguments == ["--check"]:
        for path, content in ((po, as_po(catalog)), (mo, as_mo(catalog))):
            if not path.exists() or path.read_bytes() != content:
                problems.append(f"{path.name} is stale: run `make messages`")
    else:
        po.parent.mkdir(parents=True, exist_ok=True)
        po.write_bytes(as_po(catalog))
        mo.write_bytes(as_mo(catalog))
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
