"""The promises of release.host.commands.releases.reconcile."""

from dataclasses import replace
from pathlib import Path

from release.host.commands.releases import reconcile
from release.host.disk import journal, lock, releases
from release.host.disk.layout import Layout
from tests.support.release_folders import FakeSupervisor, a_layout, a_manifest, add_release


def inis(layout: Layout) -> set[str]:
    return {path.name for path in layout.watchers.iterdir()}


def deployed(folder: Path, *outcomes: str, current: int) -> tuple[Layout, FakeSupervisor]:
    """Releases 1, 2, … with these outcomes in the journal; `current` should run, and nothing runs yet."""
    layout = a_layout(folder)
    for number, outcome in enumerate(outcomes, 1):
        add_release(layout, number, outcome)
        releases.write_manifest(layout, replace(a_manifest(number), graceful_timeout=0.01), {})
    releases.switch(layout, current)
    return layout, FakeSupervisor(layout)


def test_nothing_deployed_means_nothing_runs(tmp_path: Path) -> None:
    """The first command of all meets an empty host."""
    layout = a_layout(tmp_path)
    circus = FakeSupervisor(layout)
    reconcile.run(layout, circus)
    assert not circus.alive


def test_the_current_release_is_brought_back(tmp_path: Path) -> None:
    """After a reboot there is no circusd; what should run is what `current` says."""
    layout, circus = deployed(tmp_path, journal.GOOD, journal.GOOD, current=2)
    reconcile.run(layout, circus)
    assert circus.active == {"web.2"}


def test_what_runs_already_is_left_alone(tmp_path: Path) -> None:
    """Every command reconciles: none of them may cost a restart."""
    layout, circus = deployed(tmp_path, journal.GOOD, current=1)
    reconcile.run(layout, circus)
    layout.watcher_ini("web.1").write_text("changed by a newer Packhorse\n")
    reconcile.run(layout, circus)
    assert circus.calls == ["start"]
    assert layout.watcher_ini("web.1").read_text() == "changed by a newer Packhorse\n"


def test_watchers_of_a_deploy_that_died_are_taken_away(tmp_path: Path) -> None:
    """Before the switch the new release runs beside the old one; half-written files lie around."""
    layout, circus = deployed(tmp_path, journal.GOOD, current=1)
    reconcile.run(layout, circus)
    layout.watcher_ini("web.2").touch()
    layout.watchers.joinpath(".web.3.ini.a1b2").touch()
    circus.reload()
    reconcile.run(layout, circus)
    assert circus.active == {"web.1"}
    assert inis(layout) == {"web.1.ini"}


def test_a_drain_that_was_not_told_to_circus_is_made_up_for(tmp_path: Path) -> None:
    """Killed between the removal of the file and the command to circus."""
    layout, circus = deployed(tmp_path, journal.GOOD, journal.GOOD, current=2)
    circus.alive, circus.active = True, {"web.1", "web.2"}
    layout.watcher_ini("web.2").touch()
    reconcile.run(layout, circus)
    assert circus.active == {"web.2"}


def test_a_release_on_trial_whose_deploy_died_goes(tmp_path: Path) -> None:
    """Other hosts have gone back by then: what was not for good is not anywhere."""
    layout, circus = deployed(tmp_path, journal.GOOD, journal.TRIAL, current=2)
    reconcile.run(layout, circus)
    assert journal.states(journal.read(layout.journal)) == {1: "good", 2: "failed"}
    assert (releases.current(layout), circus.active) == (1, {"web.1"})


def test_the_first_release_of_all_stays_when_its_deploy_died(tmp_path: Path) -> None:
    """It is healthy, and to serve is better than not to."""
    layout, circus = deployed(tmp_path, journal.TRIAL, current=1)
    reconcile.run(layout, circus)
    assert journal.states(journal.read(layout.journal)) == {1: "good"}
    assert circus.active == {"web.1"}


def test_a_trial_that_was_over_is_recorded(tmp_path: Path) -> None:
    """Killed before the switch, or after the switch back."""
    layout, circus = deployed(tmp_path, journal.GOOD, journal.TRIAL, current=1)
    reconcile.run(layout, circus)
    assert journal.states(journal.read(layout.journal)) == {1: "good", 2: "failed"}
    assert releases.current(layout) == 1


def test_a_boot_starts_what_was_for_good(tmp_path: Path) -> None:
    """The power went in the middle of a deploy; circusd starts what it finds."""
    layout, _ = deployed(tmp_path, journal.GOOD, journal.TRIAL, current=2)
    layout.watcher_ini("web.2").touch()
    reconcile.boot(layout)
    assert (releases.current(layout), inis(layout)) == (1, {"web.1.ini"})


def test_a_circusd_that_was_killed_starts_with_what_the_command_at_work_has_written(tmp_path: Path) -> None:
    """The release on trial would be switched back behind the back of who is about to record it as good."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    add_release(layout, 2, journal.TRIAL)
    releases.switch(layout, 2)
    layout.watcher_ini("web.2").touch()
    with lock.held(layout, "deploy of 2.0", "ann@example"):
        reconcile.boot(layout)
    assert (releases.current(layout), inis(layout)) == (2, {"web.2.ini"})


def test_releases_that_nobody_recorded_are_swept(tmp_path: Path) -> None:
    """Half made or never switched to: their deploy died, and nobody may go back to them."""
    layout, circus = deployed(tmp_path, journal.GOOD, journal.FAILED, current=1)
    add_release(layout, 3, None)
    layout.release(4).mkdir()
    layout.releases.joinpath(".trash-0").mkdir()
    reconcile.run(layout, circus)
    assert {path.name for path in layout.releases.iterdir()} == {"1", "2"}


def test_what_uv_has_unpacked_goes_with_a_release_that_nobody_recorded(tmp_path: Path) -> None:
    """It may not have reached the disk before a power cut. Without such a release, all of it has."""
    layout, circus = deployed(tmp_path, journal.GOOD, current=1)
    layout.uv_cache.mkdir(parents=True)
    reconcile.run(layout, circus)
    assert layout.uv_cache.exists()
    layout.release(2).mkdir()
    reconcile.run(layout, circus)
    assert not layout.uv_cache.exists()


def test_a_stopped_application_stays_stopped(tmp_path: Path) -> None:
    """Whatever other commands run."""
    layout, circus = deployed(tmp_path, journal.GOOD, current=1)
    reconcile.run(layout, circus)
    layout.stopped.touch()
    reconcile.run(layout, circus)
    assert (circus.alive, inis(layout)) == (False, set())
    layout.stopped.unlink()
    reconcile.run(layout, circus)
    assert circus.active == {"web.1"}
