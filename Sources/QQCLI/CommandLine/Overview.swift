/// Texts about `qq` as a whole, for its help and qq(1).
enum Overview {
    static let summary = "Show who leads, lead, and run commands only while leading"

    static let description = """
        An election has at most one leader at a time. `qq` shows who leads, acquires and releases leadership, and runs a command only while it leads: \
        it renews a lease, and promises that the command and everything it started are dead before the lease can be granted to another contender.

        It needs no server: without `--server`, elections are lease files in a folder. Commands, exit codes and output are the same on every system.
        """

    static let examples = [
        Example("Run a backup unless one is running", "qq acquire backup -- ./backup.sh"),
        Example("Wait for the lease, at most five minutes", "qq acquire backup --wait=5m -- ./backup.sh"),
        Example("Who leads?", "qq status web"),
        Example("Wait until there is a leader", "qq watch web --until led --for 1m"),
        Example("Several hosts, one shared folder", "qq -s file:///mnt/shared/qq acquire nightly --skip-ok -- nightly-report"),
        Example("In a pod: one replica works, the others wait", "qq -s k8s://in-cluster acquire web --wait -- web-server --port 80"),
        Example("Several hosts, a NATS cluster", "qq -s nats://n1,n2,n3 acquire nightly --skip-ok -- nightly-report"),
    ]

    static let exitCodes = [
        ExitNote("0", "yes: acquired, released, led; or the command's own 0"),
        ExitNote("1", "no: held by another contender, not held, no leader (`acquire -E` *N* changes it)"),
        ExitNote("64", "the command line is wrong"),
        ExitNote("65", "broken data: a lease file or a server's answer"),
        ExitNote("69", "the system is unavailable"),
        ExitNote("75", "timed out waiting"),
        ExitNote("77", "denied"),
        ExitNote("78", "the configuration is wrong"),
        ExitNote("79", "leadership was lost while the command ran"),
        ExitNote("80", "the system cannot do this"),
        ExitNote("124", "the command ran longer than `--max-run`, and was ended"),
        ExitNote("126", "the command could not be run"),
        ExitNote("127", "the command was not found"),
        ExitNote("128+n", "the command died of signal n"),
    ]

    static var servers: [(url: String, meaning: String)] { Systems.documentation.map { ($0.urls, $0.meaning) } }

    static var environment: [(name: String, meaning: String)] {
        [
            ("QQ_SERVER", "The server URL, if `--server` is not given."),
            ("QQ_CONTEXT", "The context, if `--context` is not given; see qq-context(1)."),
        ] + Systems.documentation.flatMap(\.environment) + [
            (
                "NOTIFY_SOCKET",
                "`acquire` with a command and `keepalive` report to systemd there: sd_notify(3). With `WATCHDOG_USEC` and "
                    + "`WATCHDOG_PID`, they answer its watchdog."
            ),
            ("SYSTEMD_EXEC_PID", "If it names another process, such as a script that runs `qq`, nothing is reported to systemd."),
            (
                "JOURNAL_STREAM",
                "If it names the file of stderr or stdout, the journal of systemd reads it: lines have a priority, and neither a time nor colours."
            ),
            ("NO_COLOR", "If set and not empty, output is not coloured unless `--color=always` is given."),
            ("XDG_STATE_HOME", "By default lease files are in `qq/leases` below this folder; if it is not set, below `~/.local/state`."),
            ("XDG_CONFIG_HOME", "Contexts are in `qq/contexts.yaml` below this folder; if it is not set, below `~/.config`."),
            ("XDG_RUNTIME_DIR", "Saved grants are in `qq` below this folder."),
        ]
    }

    /// Variables in the environment of guarded commands and hooks.
    static let commandEnvironment: [(name: String, meaning: String)] = [
        ("QQ_NAME", "The election."),
        ("QQ_ID", "The identity under which `qq` leads it."),
        ("QQ_TOKEN", "The fencing token, which only grows from term to term; empty if the system has none."),
        ("QQ_SERVER", "The server URL without credentials, so that a `qq` started there asks the same system."),
        ("QQ_TTL", "How long the lease lasts without renewal, in seconds."),
        ("QQ_SLOT", "With `--slots`: the number of the slot that is held, from 1."),
        ("QQ_EVENT", "Why a hook runs: `elected`, `lost`, `released` or `changed`; for the command always `elected`."),
        ("QQ_LEADER", "The identity of the leader; empty if there is none."),
        (
            "QQ_TERM_ID",
            "Not for hooks. Marks the processes of this term, and of the terms that `qq` itself runs under, with IDs between commas. The next holder on this "
                + "machine finds surviving processes by this mark."
        ),
    ]

    static let files: [(name: String, meaning: String)] = [
        ("`$XDG_CONFIG_HOME/qq/contexts.yaml`", "Contexts: names for servers and their settings; see qq-context(1)."),
        ("`/var/lib/qq`", "Lease files of root, by default; only root can read them."),
        (
            "`$XDG_STATE_HOME/qq/leases`",
            "Lease files of other users, by default; only their user can read them. In any other folder the members of a group share elections if the group can "
                + "write there: `install -d -m 2770 -g` *GROUP DIR*. Other users cannot even read them."
        ),
        (
            "`$XDG_RUNTIME_DIR/qq`",
            "Grants of leases that `qq acquire` left held; only their user can read them. Without XDG_RUNTIME_DIR they are in `/run/qq` for root, in `/tmp/qq-`*UID* for "
                + "others."
        ),
    ]

    static let license = """
        The sources of `qq` are licensed under the Apache License 2.0. The program links GNU readline, which is licensed under the GNU General Public \
        License, version 3 or later: the program as a whole can be distributed only under that licence.
        """

    static let promises = """
        Reading changes nothing: `status`, `watch`, `cluster-status`, completion and help never create, renew, acquire or delete anything.

        Never two: a command run by `qq acquire` *NAME* `--` *CMD* is dead, with everything it started, before the election is granted to another \
        contender. This holds even if `qq` is killed, stopped or cut off from its lease, and if the machine was suspended or its clock set. Times are \
        counted on a clock that runs through suspend, from before each request.

        Not promised: a machine whose kernel was frozen can write to a disk or a peer when it resumes. Pass `QQ_TOKEN` to the system that is written \
        to, and have that system refuse tokens smaller than one that it has seen. Losing a lease that was acquired without a command, or is held by \
        `qq keepalive`, stops nothing: hooks notify, nothing is killed. Programs that write lease files without the kernel's locks do not follow the \
        rules of these locks. Work that the command hands to another daemon (docker, systemd-run, at, ssh to another machine), or runs as another user \
        through sudo, is not ended with it. In a folder that machines share, a lease is judged by their wall clocks once its holder cannot be reached. \
        If `qq` and its guardian are both killed or stopped, the command's surviving processes are ended by the next `qq` on this machine that is \
        granted the election, before its own command starts; a holder on another machine cannot do that. A virtual machine that was paused learns of \
        the pause when its wall clock is set, or else at its next renewal.

        The guardian runs at the lowest real-time priority above the command's if it is allowed to (as root, or with an RLIMIT_RTPRIO limit that \
        permits it), so that it ends the command in time even on an overloaded machine. The command keeps the priority of `qq`.
        """
}
