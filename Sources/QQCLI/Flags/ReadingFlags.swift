import QQCore

/// Flags for reading: which elections, and for how long.
extension Flags {
    static let all = Flag(
        switch: "all", group: .selection,
        help: "Every election on the server",
        more: "Every election on the server instead of named ones. The filters below narrow it.")

    static let slotsToRead = Flag<Int>(
        "slots", value: "N", kind: .count, group: .selection,
        help: "Read the N slots of each NAME",
        more: """
            Read the *N* slots of each *NAME*, from 1 to \(Slot.most), which `acquire --slots` *N* contends for, and take them for one election. Without \
            this flag, slots are looked for if *NAME* itself has no leader, on systems that can list elections.
            """,
        parse: Values.number(1...Slot.most))

    static let mine = Flag(
        switch: "mine", group: .selection,
        help: "Only our elections; exit 1 if none",
        more: """
            Only elections that are ours: led by the identity given with `--id`, else under a saved grant of this user. The exit code is 0 if each \
            named election (with `--all`: at least one) is ours, else 1.
            """)

    static let held = Flag(
        switch: "held", group: .selection,
        help: "Only elections that have a leader",
        more: "Only elections that have a leader now.")

    static let contested = Flag(
        switch: "contested", group: .selection,
        help: "Only elections with waiters",
        more: "Only elections that have waiters, on systems that know them.")

    static let owner = Flag<String>(
        "owner", value: "TEXT", kind: .text, group: .selection,
        help: "Only leaders whose identity contains TEXT",
        more: "Only elections whose leader's identity contains this text. Case matters.",
        parse: Values.text)

    static let match = Flag<String>(
        "match", value: "TEXT", kind: .text, group: .selection,
        help: "Only names that contain TEXT",
        more: "Only elections whose name contains this text. Case matters.",
        parse: Values.text)

    static let expiresWithin = Flag<Duration>(
        "expires-within", value: "DURATION", kind: .duration, group: .selection,
        help: "Only leases about to expire",
        more: "Only elections whose lease expires within this time unless it is renewed.",
        parse: Values.duration)

    static let limit = Flag<Int>(
        "limit", value: "N", kind: .count, group: .selection,
        help: "At most N elections",
        more: "Print at most this many elections, in the order of their names, after filtering.",
        parse: Values.number(1...Int.max))

    static let offset = Flag<Int>(
        "offset", value: "N", kind: .count, group: .selection,
        help: "Skip the first N",
        more: "Skip this many elections before the first one printed. With `--limit`, this prints one page of a long list.",
        defaultText: "0", parse: Values.number(0...Int.max))

    static let advice = Flag(
        switch: "advice", group: .output,
        help: "Also print when to try again",
        more: """
            Also print how long the system advises a contender to wait before its next try: the first and the longest pause, the factor by which each \
            pause is longer than the previous one, and the fraction by which it should vary. This works on \(Systems.able(.backoffAdvice)); on other \
            systems the exit code is 80.
            """)

    static let until = Flag<WatchCondition>(
        "until", value: "CONDITION", kind: .choice(WatchCondition.words), group: .selection,
        help: "Stop, with exit 0, when this is true",
        more: """
            Stop with exit code 0 once the condition is true of every watched election: `led` (it has a leader), `free` (it has none), `mine` (it is \
            ours), `changed` (the leader is not the one at the start) or `leader=`*ID* (this identity leads). The condition can be true at the start.
            """,
        parse: WatchCondition.parse)

    static let watchFor = Flag<Duration>(
        "for", value: "DURATION", kind: .duration, group: .selection,
        help: "Stop watching after this time",
        more: "Stop watching after this time: with exit code 75 if `--until` was given and has not come true, else with 0.",
        parse: Values.positiveDuration)

    static let exec = Flag<String>(
        "exec", value: "CMD", kind: .command, group: .hooks,
        help: "Run CMD at each change",
        more: """
            Run *CMD* with `sh -c` at each change, in order and one at a time, with `QQ_NAME`, `QQ_EVENT` and `QQ_LEADER` in its environment, and of a \
            name with slots `QQ_SLOT`, the number of the slot that has changed. A failure is reported and has no other effect.
            """,
        parse: Values.text)

    static let record = Flag<String>(
        "record", value: "FILE", kind: .file, group: .output,
        help: "Also write all events to FILE",
        more: """
            Also write all events to a new file, for `--replay`: one JSON object per line, as `--json` prints them, and in addition renewals and \
            events of the connection. A file that is not empty is refused.
            """,
        parse: Values.text)

    static let replay = Flag<String>(
        "replay", value: "FILE", kind: .file, group: .selection,
        help: "Show the events that --record wrote",
        more: """
            Show again the events that `--record` wrote, as if they happened now; no server is asked. If *NAME*s are given, show only those elections.
            """,
        parse: Values.text)

    static let speed = Flag<Double>(
        "speed", value: "FACTOR", kind: .count, group: .output,
        help: "Replay this many times as fast",
        more: "Replay this many times as fast as it happened: `60` shows an hour in a minute, `0.5` takes twice as long.",
        defaultText: "1", parse: Values.factor)
}
