import QQCore

/// Running things: the guarded command, hooks, retries.
extension Flags {
    static let killAfter = Flag<Duration>(
        "kill-after", value: "DURATION", kind: .duration, group: .command,
        help: "SIGTERM to SIGKILL",
        more: """
            How long the command and all it started have between SIGTERM and SIGKILL when leadership is lost. SIGTERM comes this \
            much before the lease ends, so that all are dead by its end.
            """,
        defaultText: "ttl/\(Defaults.ttlDivisor), at most \(DurationText.format(Defaults.killAfterAtMost))", parse: Values.duration)

    static let onElected = Flag<String>(
        "on-elected", value: "CMD", kind: .command, group: .hooks,
        help: "Run CMD when elected",
        more: "Run *CMD* with `sh -c` each time the election is won.",
        repeatable: true, parse: Values.text)

    static let onLost = Flag<String>(
        "on-lost", value: "CMD", kind: .command, group: .hooks,
        help: "Run CMD when leadership ends",
        more: """
            Run *CMD* with `sh -c` each time leadership ends, lost or given up.
            """,
        repeatable: true, parse: Values.text)

    static let onChange = Flag<String>(
        "on-change", value: "CMD", kind: .command, group: .hooks,
        help: "Run CMD when the leader changes",
        more: """
            Run *CMD* with `sh -c` each time the leader changes, whoever it is; `QQ_LEADER` names the new one and is empty where there is \
            none.
            """,
        repeatable: true, parse: Values.text)

    static let hookTimeout = Flag<Duration>(
        "hook-timeout", value: "DURATION", kind: .duration, group: .hooks,
        help: "Limit for one hook",
        more: """
            How long one hook may run before it is killed. Hooks run one after the other; one that fails or is killed is reported and \
            changes nothing.
            """,
        defaultText: DurationText.format(Defaults.hookTimeout), parse: Values.duration(atLeast: Defaults.shortestTimeout))

    /// The hooks and their limit.
    @FlagListBuilder static var hooks: [AnyFlag] {
        onElected
        onLost
        onChange
        hookTimeout
    }

    static let retries = Flag<Int>(
        "retries", value: "N", kind: .count, group: .retrying,
        help: "Tries after a passing failure",
        more: """
            How often a request is tried again after a failure that may pass, such as a refused connection or a time-out. A lease that is \
            held is renewed again and again for as long as it lasts, whatever this says.
            """,
        defaultText: "\(Defaults.retries)", parse: Values.number(0...1_000_000))

    static let backoff = Flag<BackoffRange>(
        "backoff", value: "INITIAL..MAX", kind: .text, group: .retrying,
        help: "First and longest pause",
        more: """
            The pause before the first retry and the longest one. Between them each pause is longer than the one before, see `--backoff-factor`. \
            \(Systems.otherDefaults(\.backoff, Defaults.backoff) { $0.text })
            """,
        defaultText: Defaults.backoff.text, parse: BackoffRange.parse)

    static let backoffFactor = Flag<Double>(
        "backoff-factor", value: "FACTOR", kind: .text, group: .retrying,
        help: "How much longer each pause is",
        more: "By which factor each pause is longer than the one before, from 1 to 100.",
        defaultText: "\(Int(Defaults.backoffFactor))", parse: Values.decimal(1...100))

    static let jitter = Flag<Double>(
        "jitter", value: "FRACTION", kind: .text, group: .retrying,
        help: "How much pauses vary, 0 to 1",
        more: """
            By which part of itself, from 0 to 1, a pause is varied at random, so that contenders do not all ask at the same moment. \
            Renewals vary too, towards sooner only. \(Systems.otherDefaults(\.jitter, Defaults.jitter) { "\($0)" })
            """,
        defaultText: "\(Defaults.jitter)", parse: Values.decimal(0...1))

    /// The retry policy.
    @FlagListBuilder static var retrying: [AnyFlag] {
        retries
        backoff
        backoffFactor
        jitter
        Systems.flags { $0 == .retrying }
    }
}
