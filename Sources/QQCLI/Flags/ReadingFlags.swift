/// Reading: which elections, how long to look.
extension Flags {
    static let all = Flag(
        switch: "all", group: .selection,
        help: "Every election on the server",
        more: "Every election on the server instead of named ones. The filters below narrow it.")

    static let mine = Flag(
        switch: "mine", group: .selection,
        help: "Only what we lead; exit 1 if nothing",
        more: """
            Only elections that we lead: under the identity given with `--id`, else under a saved grant of this user. The exit code is 0 \
            where each named one (with `--all`: at least one) is ours, else 1.
            """)

    static let held = Flag(
        switch: "held", group: .selection,
        help: "Only elections that have a leader",
        more: "Only elections that have a leader now.")

    static let contested = Flag(
        switch: "contested", group: .selection,
        help: "Only elections that somebody waits for",
        more: "Only elections that somebody waits for, where the system knows who waits.")

    static let owner = Flag<String>(
        "owner", value: "TEXT", kind: .text, group: .selection,
        help: "Only leaders whose identity contains TEXT",
        more: "Only elections whose leader's identity contains this text. Case counts.",
        parse: Values.text)

    static let match = Flag<String>(
        "match", value: "TEXT", kind: .text, group: .selection,
        help: "Only names that contain TEXT",
        more: "Only elections whose name contains this text. Case counts.",
        parse: Values.text)

    static let expiresWithin = Flag<Duration>(
        "expires-within", value: "DURATION", kind: .duration, group: .selection,
        help: "Only leases about to end",
        more: "Only elections whose lease ends within this time unless it is renewed.",
        parse: Values.duration)

    static let limit = Flag<Int>(
        "limit", value: "N", kind: .count, group: .selection,
        help: "At most N elections",
        more: "Print at most this many elections, in the order of their names, after filtering.",
        parse: Values.number(1...Int.max))

    static let offset = Flag<Int>(
        "offset", value: "N", kind: .count, group: .selection,
        help: "Leave out the first N",
        more: "Leave out this many elections before the first one printed. With `--limit`, one page of a long list.",
        defaultText: "0", parse: Values.number(0...Int.max))

    static let advice = Flag(
        switch: "advice", group: .output,
        help: "Also say when to try again",
        more: """
            Also say how long a contender should wait before its next try, by the system's own advice: the first and the longest pause, \
            by how much each is longer than the one before, and by which part of itself it is to vary. This works on \
            \(Systems.able(.backoffAdvice)); other systems answer with exit code 80.
            """)

    static let until = Flag<WatchCondition>(
        "until", value: "CONDITION", kind: .choice(WatchCondition.words), group: .selection,
        help: "Stop, with exit 0, when this is true",
        more: """
            Stop with exit code 0 once the condition is true of every election watched: `led` (somebody leads), `free` (nobody does), \
            `mine` (we do), `changed` (the leader is another than at the start) or `leader=`*ID* (this identity leads). It may be true \
            at the start.
            """,
        parse: WatchCondition.parse)

    static let watchFor = Flag<Duration>(
        "for", value: "DURATION", kind: .duration, group: .selection,
        help: "Stop watching after this time",
        more: """
            Stop watching after this time: with exit code 75 where `--until` was given and has not come true, else with 0.
            """,
        parse: Values.positiveDuration)

    static let exec = Flag<String>(
        "exec", value: "CMD", kind: .command, group: .hooks,
        help: "Run CMD at each change",
        more: """
            Run *CMD* with `sh -c` at each change, in order and one at a time, with `QQ_NAME`, `QQ_EVENT` and `QQ_LEADER` in its \
            environment. Its failure is reported and changes nothing.
            """,
        parse: Values.text)

    static let record = Flag<String>(
        "record", value: "FILE", kind: .file, group: .output,
        help: "Also write what happens to FILE",
        more: """
            Also write what happens to a new file, for `--replay`: a JSON object a line, as `--json` prints them, besides renewals and what \
            happens to the connection. A file with something in it is left as it is.
            """,
        parse: Values.text)

    static let replay = Flag<String>(
        "replay", value: "FILE", kind: .file, group: .selection,
        help: "Show what --record wrote to FILE",
        more: """
            Show again what `--record` wrote, as if it happened now; no server is asked. Given *NAME*s, only those elections.
            """,
        parse: Values.text)

    static let speed = Flag<Double>(
        "speed", value: "FACTOR", kind: .count, group: .output,
        help: "Replay this many times as fast",
        more: "Replay this many times as fast as it happened: `60` shows an hour in a minute, `0.5` takes twice as long.",
        defaultText: "1", parse: Values.factor)
}
