"""`init` as a user calls it: a folder that runs as it is, or nothing at all."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from tests.unit.cli.small_run import call

from gridpact.cli.init import init
from gridpact.errors import StoreError
from gridpact.inputs import load_profiles, load_scenario, validate_scenario

FILES = ["README.md", "homes.csv", "scenario.toml"]
SEED = 20240601
HOMES = (("ada", 350, 0), ("ben", 250, 4), ("cleo", 600, 6), ("dora", 200, 0), ("emil", 450, 3),
         ("fritz", 300, 0))  # fmt: skip
"""Name, usual load in W, kW on the roof."""


def example_homes(seed: int) -> str:
    """Where `homes.csv` of the template comes from; it describes nobody."""
    chance = random.Random(seed)
    header = ["start"]
    for name, _, roof_kw in HOMES:
        header += [f"load_{name}", *[f"pv_{name}"] * (roof_kw > 0)]
    lines = [",".join(header)]
    for day in range(10):
        sky = 250 + chance.randrange(700)
        for hour in range(24):
            row = [f"2024-06-{1 + day:02d} {hour:02d}:00"]
            sun = max(0, 225 - (2 * hour - 26) ** 2)
            for _, usual_w, roof_kw in HOMES:
                peak = 3 if hour in (7, 8) else 5 if 17 <= hour <= 21 else 1 if hour < 6 else 2
                load_wh = usual_w * peak * (60 + chance.randrange(80)) // 200
                row.append(f"{load_wh / 1000:.3f}")
                if roof_kw:
                    pv_wh = roof_kw * sun * sky * (90 + chance.randrange(21)) // 25_000
                    row.append(f"{pv_wh / 1000:.3f}")
            lines.append(",".join(row))
    return "\n".join([*lines, ""])


def test_the_folder_is_complete_and_runs_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "village"
    made = call("init", folder, "--json")
    assert made.code == 0, made.err
    assert made.json == {
        "folder": str(folder),
        "files": FILES,
        "scenario": str(folder / "scenario.toml"),
    }
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["village"]
    done = call("run", folder / "scenario.toml", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    summary = done.json
    assert (summary["participants"], summary["slots"]) == (6, 24)
    assert summary["traded_wh"] > 0
    assert summary["money_residual_nano"] == summary["energy_residual_wh"] == 0


def test_it_says_what_to_do_next(tmp_path: Path) -> None:
    made = call("init", "village", cwd=tmp_path)
    assert made.out == (
        "village: README.md, homes.csv, scenario.toml\nnext: gridpact run village/scenario.toml\n"
    )
    assert "gridpact init village" in call("init", "--help").out


def test_the_current_folder_stays_the_same_folder(tmp_path: Path) -> None:
    before = tmp_path.stat().st_ino
    assert call("init", ".", cwd=tmp_path).code == 0
    assert tmp_path.stat().st_ino == before
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


@pytest.mark.parametrize("there", ["mine.txt", ".hidden"])
def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    refused = call("init", tmp_path)
    assert refused.code == 2
    assert f"{tmp_path} is not empty" in refused.err
    assert [path.name for path in tmp_path.iterdir()] == [there]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for name in ("file", "nowhere"):
        refused = call("init", tmp_path / name)
        assert refused.code == 2
        assert "is not a folder" in refused.err
    assert (tmp_path / "file").read_text() == "precious"
    assert call("init", tmp_path / "file" / "inside").code in (1, 2)


@pytest.mark.parametrize("exists", [True, False])
def test_a_disk_that_refuses_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    folder = tmp_path / "village"
    if exists:
        folder.mkdir()
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "scenario.toml" or path.name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StoreError, match="No space left on device; nothing was written"):
        init(folder)
    assert list(tmp_path.iterdir()) == ([folder] if exists else [])
    assert not exists or list(folder.iterdir()) == []


def test_the_example_is_valid_for_all_its_days(tmp_path: Path) -> None:
    init(tmp_path / "village")
    path = tmp_path / "village" / "scenario.toml"
    assert validate_scenario(path) == ()
    path.write_text(path.read_text().replace("days = 1  ", "days = 3  "))
    profiles = load_profiles(load_scenario(path))
    assert profiles.load_wh.shape == (6, 240)
    assert profiles.remarks == ()


def test_the_example_data_are_made_up_and_reproducible(tmp_path: Path) -> None:
    init(tmp_path / "village")
    assert (tmp_path / "village" / "homes.csv").read_text() == example_homes(SEED)
    assert "synthetic" in (tmp_path / "village" / "README.md").read_text()


def uncommented(path: Path, first: str) -> None:
    """Write the scenario with the rest of the file from a line on without comment signs."""
    before, line, after = path.read_text().partition(first)
    assert line
    path.write_text(before + "\n".join(
        row.removeprefix("# ") if re.match(r"# (\w+ = |\[)", row) else row
        for row in (line + after).splitlines()
    ))  # fmt: skip


def test_assets_in_comments_are_valid(tmp_path: Path) -> None:
    init(tmp_path / "village")
    path = tmp_path / "village" / "scenario.toml"
    uncommented(path, "# What else fritz could own")
    assert validate_scenario(path) == ()
    fritz = load_scenario(path).members[-1].home
    assert fritz is not None
    assert [len(fritz.deferrable), len(fritz.flexible), len(fritz.vehicles)] == [1, 1, 1]


def test_assets_are_those_of_the_roofs(tmp_path: Path) -> None:
    init(tmp_path / "village")
    scenario = load_scenario(tmp_path / "village" / "scenario.toml")
    assert [member.participant_id for member in scenario.members if member.home] == [
        "ben",
        "cleo",
        "emil",
    ]


def test_keys_in_comments_are_keys(tmp_path: Path) -> None:
    """What the scenario suggests in comments is taken when the comment sign goes."""
    init(tmp_path / "village")
    path = tmp_path / "village" / "scenario.toml"
    lines = path.read_text().splitlines()
    keys = ("# time_zone", "# label", "# delimiter", "# decimal", "# format", "# gaps",
            "# sealed_deposit_micro", "# [network]", "# reference", "# curtailment", "# vm_min_pu",
            "# vm_max_pu", "# loading_max_percent", "# power_factor_permille", "# forecast",
            "# own_battery", "# export_max_w", "# planning")  # fmt: skip
    assert all(any(line.startswith(key) for line in lines) for key in keys)
    path.write_text("\n".join(line.removeprefix("# ") if line.startswith(keys) else line
                              for line in lines))  # fmt: skip
    found = [problem.message for problem in validate_scenario(path)]
    assert found
    assert not any("is not a known key" in message for message in found)
