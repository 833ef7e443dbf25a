"""A backup is whole and private; a restore touches nothing that is in use, foreign or unasked."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_RESTORE: Final = "service/store/archive/restore.py"
_CONTENTS: Final = "service/store/archive/contents.py"
_APP: Final = "service/app/backup.py"
_TESTS: Final = "tests/integration/app/test_backup.py"
_IN_USE: Final = of(_TESTS, "test_a_session_or_a_lease_of_a_service_refuses")
_HALF: Final = of(_TESTS, "test_a_restore_that_fails_half_way_leaves_everything_as_it_was")
_FOREIGN: Final = of(_TESTS, "test_the_file_of_another_mode_or_of_a_newer_version_touches_nothing")

BACKUP: Final = (
    Mutant(
        name="a restore replaces orders without the word",
        file=_RESTORE,
        old="        if not forced and _holds(",
        new="        if False and _holds(",
        tests=of(_TESTS, "test_orders_are_replaced_only_by_the_word_and_stay_under_another_name"),
    ),
    Mutant(
        name="a restore does not see the lease of a service",
        file=_RESTORE,
        old=' or _holds(connection, "leader", IS_LEASED):',
        new=":",
        tests=_IN_USE,
    ),
    Mutant(
        name="a restore that fails leaves what it filled",
        file=_RESTORE,
        old="        except BaseException:\n            _drop(admin, filled)\n            raise\n",
        new="        finally:\n            pass\n",
        tests=_HALF,
    ),
    Mutant(
        name="a restore that fails leaves half of the tables on a given server",
        file=_RESTORE,
        old='("--single-transaction", "--exit-on-error", ',
        new='("--exit-on-error", ',
        tests=_HALF,
    ),
    Mutant(
        name="a restore on a given server does not ask whether it is empty",
        file=_RESTORE,
        old="        if _is(guard, HAS_TABLES, guard.info.dbname):",
        new="        if False:",
        tests=of(_TESTS, "test_a_given_server_takes_a_backup_into_an_empty_database_alone"),
    ),
    Mutant(
        name="a restore takes a file that was cut",
        file=_CONTENTS,
        old="    if not sealed:\n",
        new="    if False:\n",
        tests=of(_TESTS, "test_a_cut_a_foreign_and_a_missing_file_touch_nothing"),
    ),
    Mutant(
        name="a restore takes the file of a newer version",
        file=_CONTENTS,
        old="if name not in present]:",
        new="if False]:",
        tests=_FOREIGN,
    ),
    Mutant(
        name="a restore takes the orders of another mode",
        file=_APP,
        old="        if mode not in {None, config.mode.value}:",
        new="        if False:",
        tests=_FOREIGN,
    ),
    Mutant(
        name="a restore does not hold the port of the service",
        file=_APP,
        old="    with closing(bound(config)):\n",
        new="    if True:\n",
        tests=of(_TESTS, "test_the_port_of_a_running_service_refuses"),
    ),
)
