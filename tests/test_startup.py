"""Starting is cheap: no torch behind `hanmo --help`, `hanmo VERB --help` or `import hanmo`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hanmo.cli.app import VERBS

_PROBE = """
import sys
{work}
heavy = sorted({{name.split('.')[0] for name in sys.modules}} & {{'torch', 'numpy', 'numba', 'tokenizers', 'transformers'}})
print('HEAVY', heavy)
"""


def _heavy(work: str) -> str:
    done = subprocess.run([sys.executable, "-c", _PROBE.format(work=work)], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_import_is_light() -> None:
    assert _heavy("import hanmo; hanmo.__version__") == "HEAVY []"


def test_the_probe_sees_torch() -> None:
    assert "torch" in _heavy("import hanmo; hanmo.load")


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_is_light(verb: str) -> None:
    arguments = [*verb.split(), "--help"]
    assert _heavy(f"from hanmo.cli.app import main; assert main({arguments!r}) == 0") == "HEAVY []"


def test_unknown_attribute() -> None:
    import hanmo

    with pytest.raises(AttributeError, match="nothing"):
        hanmo.nothing  # noqa: B018 (looking it up is what raises)
    assert set(hanmo.__all__) <= set(dir(hanmo))
