/// What is said about `qq` as a whole, in its help and in qq(1).
enum Overview {
    static let summary = "Ask who leads, lead, and run commands only while leading"

    static let description = """
        One election has at most one leader at a time. `qq` asks who leads, takes and gives up leadership, and runs a command only while \
        it leads: with a lease that it renews, and with the promise that the command and all it started are dead before anybody else can \
        be granted the lease.

        It needs no server: without `--server`, elections are lease files in a folder. Every system is used with the same commands, exit \
        codes and output.
        """

    static let examples = [
        Example("Run a backup unless one is running", "qq acquire backup -- ./backup.sh"),
        Example("Wait for the turn, at most five minutes", "qq acquire backup --wait=5m -- ./backup.sh"),
        Example("Who leads?", "qq status web"),
        Example("Wait until somebody does", "qq watch web --until led --for 1m"),
        Example("Several hosts, one shared folder", "qq -s file:///mnt/shared/qq acquire nightly --skip-ok -- nightly-report"),
        Example("Several hosts, a NATS cluster", "qq -s nats://n1,n2,n3 acquire nightly --skip-ok -- nightly-report"),
    ]

    static let exitCodes = [
        ExitNote("0", "yes: acquired, released, led; or the command's own 0"),
        ExitNote("1", "no: held by another, not held, no leader (`acquire -E` *N* changes it)"),
        ExitNote("64", "the command line is wrong"),
        ExitNote("65", "broken data: a lease file or a server's answer"),
        ExitNote("69", "the system is unavailable"),
        ExitNote("75", "timed out waiting"),
        ExitNote("77", "denied"),
        ExitNote("78", "the configuration is wrong"),
        ExitNote("79", "leadership was lost while the command ran"),
        ExitNote("80", "the system cannot do this"),
        ExitNote("126", "the command could not be run"),
        ExitNote("127", "the command was not found"),
        ExitNote("128+n", "the command died of signal n"),
    ]

    static var servers: [(url: String, meaning: String)] { Systems.documentation.map { ($0.urls, $0.meaning) } }

    static var environment: [(name: String, meaning: String)] {
        [
            ("QQ_SERVER", "The server URL where `--server` is not given."),
            ("QQ_CONTEXT", "The context where `--context` is not given; see qq-context(1)."),
        ] + Systems.documentation.flatMap(\.environment) + [
            ("NO_COLOR", "Where set and not empty, output is not coloured unless `--color=always` says so."),
            ("XDG_STATE_HOME", "Lease files are in `qq/leases` below it by default; `~/.local/state` where it is not set."),
            ("XDG_CONFIG_HOME", "Contexts are in `qq/contexts.yaml` below it; `~/.config` where it is not set."),
            ("XDG_RUNTIME_DIR", "Saved grants are in `qq` below it."),
        ]
    }

    /// What guarded commands and hooks find in their environment.
    static let commandEnvironment: [(name: String, meaning: String)] = [
        ("QQ_NAME", "The election."),
        ("QQ_ID", "The identity that leads it, ours."),
        ("QQ_TOKEN", "The fencing token, which only grows from term to term; empty where the system has none."),
        ("QQ_SERVER", "The server URL without credentials, so that a `qq` within asks the same system."),
        ("QQ_TTL", "How long the lease lasts unrenewed, in seconds."),
        ("QQ_EVENT", "Why a hook runs: `elected`, `lost`, `released` or `changed`; for the command `elected`."),
        ("QQ_LEADER", "The identity of the leader; empty where there is none."),
        (
            "QQ_TERM_ID",
            "Not for hooks. Marks the processes of this term, and of the terms that `qq` itself runs under, between commas: by it the next holder on this "
                + "machine finds what is left of them."
        ),
    ]

    static let files: [(name: String, meaning: String)] = [
        ("`$XDG_CONFIG_HOME/qq/contexts.yaml`", "Contexts: names for places; see qq-context(1)."),
        ("`/var/lib/qq`", "Lease files of root, by default; for root alone."),
        (
            "`$XDG_STATE_HOME/qq/leases`",
            "Lease files of other users, by default; for their user alone. In any other folder the members of a group share elections if the group may write "
                + "there: `install -d -m 2770 -g` *GROUP DIR*. Who is not of the group cannot read them either."
        ),
        (
            "`$XDG_RUNTIME_DIR/qq`",
            "Grants that `qq acquire` left held, readable by their user alone; without XDG_RUNTIME_DIR in `/run/qq` for root, in `/tmp/qq-`*UID* for others."
        ),
    ]

    static let license = """
        The sources of `qq` are licensed under the Apache License 2.0. The program links GNU readline, which is licensed under the GNU General Public \
        License, version 3 or later: the program as a whole may be passed on under that licence only.
        """

    static let promises = """
        Reading changes nothing: `status`, `watch`, `cluster-status`, completion and help never create, renew, win or delete anything.

        Never two: a command run by `qq acquire` *NAME* `--` *CMD* is dead, with everything it started, before \
        anybody else is granted the election: also when `qq` is killed, stopped or out of touch with its lease, and when the machine was suspended or \
        its clock set. Times are counted on a clock that runs through suspend, from before each request.

        Not promised: that a machine whose kernel is frozen has stopped writing to a disk or peer elsewhere. For that, hand `QQ_TOKEN` to \
        what is written to and let it refuse tokens smaller than one it has seen. Nor that leases taken without a command, or held by \
        `qq keepalive`, stop anything when they are lost: hooks tell, nothing is killed. Nor that programs which write lease files \
        without the kernel's locks keep the rules of these. Nor that work which the command hands to another daemon (docker, systemd-run, at, \
        ssh to another machine), or runs as another user through sudo, is ended with it. In a folder that machines share, a lease is judged by their \
        wall clocks once its holder is out of reach. If `qq` and its guardian are both killed or stopped, what is left of the command is ended by the \
        next `qq` on this machine that is granted the election, before it begins; a holder on another machine cannot do that. A virtual machine that was \
        paused learns of it when its wall clock is set, and else by its next renewal.

        The guardian works at a real-time priority, the lowest above the command's, where it may (as root, or under a limit RLIMIT_RTPRIO that allows \
        it), so that it ends the command in time on a machine that has too much to do as well. The command keeps the priority that `qq` has.
        """
}
