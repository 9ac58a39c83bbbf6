/// Commands that change nothing.
extension Commands {
    static let status = Command(
        .status,
        summary: "Show who leads, since when and for how much longer",
        description: """
            Show who leads each *NAME*: the leader, since when, how much longer the lease lasts, the fencing token, epoch and revision, and the number \
            of waiters, as far as the system knows them. Changes nothing.

            If stdout is not a terminal, each election is a line of fields separated by tabs: name, `held`, `expired`, `free` or `unknown`, leader, \
            token, seconds left, the columns of the system, and with `--advice` first and longest pause, factor and jitter. A dash means that the \
            value is not known.

            A *NAME* that several holders share by `--slots` is shown as one election, which has a leader if any slot has one. Its line has all leaders, \
            and all tokens, separated by commas, the seconds until the first of these leases ends, and two more fields at its end: how many slots are \
            held, and how many there are. Each slot can also be read alone, as *NAME*-slot-*K*-of-*N*.
            """,
        positionals: [
            Positional(
                "NAME", kind: .election, help: "The elections to read.", required: false, variadic: true,
                orBy: Flags.clusterConfig.erased)
        ],
        rules: globalRules + [.onlyWithoutNames(Flags.all.erased), .exclusive(Flags.all.erased, Flags.slotsToRead.erased)],
        examples: [
            Example("Who leads?", "qq status web"),
            Example("In a script: continue only if this user leads", "qq status web --mine --quiet || exit 0"),
            Example("Every lease on a server that expires within a minute", "qq status --all --expires-within 1m"),
            Example("The leader's identity alone", "qq status web --json | jq -r .leader"),
        ],
        exitNotes: [
            ExitNote("0", "each election named has a leader; with `--mine`: each is ours"),
            ExitNote("1", "at least one has none; with `--mine`: at least one is not ours"),
        ],
        seeAlso: ["qq-watch(1)", "qq-cluster-status(1)", "qq-json(5)"]
    ) {
        Flags.all
        Flags.slotsToRead
        Flags.mine
        Flags.held
        Flags.contested
        Flags.owner
        Flags.match
        Flags.expiresWithin
        Flags.limit
        Flags.offset
        Flags.advice
        Flags.retrying
        Flags.global
    }

    static let watch = Command(
        .watch,
        summary: "Report each change of leadership as it happens",
        description: """
            Print who leads each *NAME* now, then a line for each change as it happens, until stopped or until a condition comes true. Changes \
            nothing. Once it has begun, it continues if the system cannot be reached for a while, and says so on stderr.

            On a terminal this is a live view: a row for each election with its leader, its term and token if there are any, and a bar for the rest of \
            the lease; below, who led when, and the last changes. `q` or Ctrl-C leaves it. On a terminal, too, lines are printed with `--exec`, in the \
            background, and if `TERM` is `dumb`.

            A *NAME* that several holders share by `--slots` is watched as one election: each change of a slot is a change, with the number of the slot, \
            and the conditions `led`, `mine` and `leader=`*ID* are true if they are of any slot. Slots are looked for at the start if *NAME* has no \
            leader then, and after that once a minute; `--slots` names their number and finds them immediately.
            """,
        positionals: [
            Positional(
                "NAME", kind: .election, help: "The elections to watch.", variadic: true,
                orBy: Flags.clusterConfig.erased, Flags.replay.erased)
        ],
        rules: globalRules + [
            .exclusive(Flags.record.erased, Flags.replay.erased), .exclusive(Flags.until.erased, Flags.replay.erased),
            .exclusive(Flags.watchFor.erased, Flags.replay.erased), .exclusive(Flags.exec.erased, Flags.replay.erased),
            .exclusive(Flags.slotsToRead.erased, Flags.replay.erased), .requires(Flags.speed.erased, Flags.replay.erased),
        ],
        examples: [
            Example("Watch one election", "qq watch web"),
            Example("Wait, at most a minute, until there is a leader", "qq watch web --until led --for 1m"),
            Example("Reload a proxy at each change", "qq watch web --exec './point-proxy-at \"$QQ_LEADER\"'"),
            Example("Record tonight's events", "qq watch web db --record tonight.jsonl"),
            Example("Replay them in the morning", "qq watch --replay tonight.jsonl --speed 60"),
        ],
        exitNotes: [
            ExitNote("0", "the condition of `--until` came true; without one: stopped, or the time of `--for` is over"),
            ExitNote("65", "`--replay`: the file is not what `--record` writes; the message names the line"),
            ExitNote("75", "the time of `--for` is over and the condition has not come true"),
        ],
        seeAlso: ["qq-status(1)", "qq-json(5)"]
    ) {
        Flags.until
        Flags.slotsToRead
        Flags.watchFor
        Flags.replay
        Flags.exec
        Flags.hookTimeout
        Flags.record
        Flags.speed
        Flags.global
    }

    static let clusterStatus = Command(
        .clusterStatus,
        summary: "Show the state of the coordination system itself",
        description: """
            Look at every endpoint of the server URL: whether it answers and how fast, its role, the system's own leader, term, lag and version, and \
            the members if the system knows them. Changes nothing.
            """,
        rules: globalRules,
        examples: [
            Example("Can the system grant leases?", "qq cluster-status"),
            Example("Which nodes does a NATS cluster have?", "qq cluster-status -s nats://n1,n2,n3"),
            Example("Is this folder suitable?", "qq cluster-status -s file:///mnt/shared/qq"),
        ],
        exitNotes: [
            ExitNote("0", "the system can grant leases"),
            ExitNote("1", "the system answers, but cannot grant leases now"),
            ExitNote("69", "no endpoint answers"),
        ],
        seeAlso: ["qq-status(1)", "qq-json(5)"]
    ) {
        Flags.global
    }
}
