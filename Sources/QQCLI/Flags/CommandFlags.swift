import QQCore

import struct LeaderElection.BackoffRange

/// Flags for the guarded command, hooks and retries.
extension Flags {
    static let maxRun = Flag<Duration>(
        "max-run", value: "DURATION", kind: .duration, group: .command,
        help: "End the command after this time",
        more: """
            End a command that runs for longer than this, as on a loss of leadership: it and everything it started get SIGTERM, then SIGKILL after \
            `--kill-after`. The lease is then released, and the exit code is 124. The time counts from the start of the command, and includes the time \
            for which the machine is suspended.
            """,
        parse: Values.positiveDuration)

    static let killAfter = Flag<Duration>(
        "kill-after", value: "DURATION", kind: .duration, group: .command,
        help: "SIGTERM to SIGKILL",
        more: """
            How long the command and everything it started have between SIGTERM and SIGKILL when leadership is lost. SIGTERM is sent this long before \
            the lease expires, so that all of them are dead by then.
            """,
        defaultText: "ttl/\(Defaults.ttlDivisor), at most \(DurationText.format(Defaults.killAfterAtMost))", parse: Values.duration)

    static let notify = Flag<Notifier>(
        "notify", value: "WHO", kind: .choice(Notifier.words), group: .command,
        help: "Who reports to systemd",
        more: """
            Which process reports to systemd if `NOTIFY_SOCKET` is set (sd_notify(3)), and `SYSTEMD_EXEC_PID` names this process or is not set; else \
            `qq` reports nothing, and the command gets the variable in any case. `qq`: this one does; it keeps the variable from the command and \
            from hooks. The unit is ready once `qq` waits or leads. `command`: the command gets the variable, and reports that it is ready; until it \
            starts, `qq` only reports who leads. Such a unit needs `NotifyAccess=all` and, if it can wait, `TimeoutStartSec=infinity`.
            """,
        defaultText: Defaults.notifier.rawValue, parse: Values.choice)

    static let onElected = Flag<String>(
        "on-elected", value: "CMD", kind: .command, group: .hooks,
        help: "Run CMD when elected",
        more: "Run *CMD* with `sh -c` each time the election is won.",
        repeatable: true, parse: Values.text)

    static let onLost = Flag<String>(
        "on-lost", value: "CMD", kind: .command, group: .hooks,
        help: "Run CMD when leadership ends",
        more: "Run *CMD* with `sh -c` each time leadership ends, whether it was lost or released.",
        repeatable: true, parse: Values.text)

    static let onChange = Flag<String>(
        "on-change", value: "CMD", kind: .command, group: .hooks,
        help: "Run CMD when the leader changes",
        more: """
            Run *CMD* with `sh -c` each time the leader changes, whoever leads; `QQ_LEADER` names the new leader and is empty if there is none.
            """,
        repeatable: true, parse: Values.text)

    static let hookTimeout = Flag<Duration>(
        "hook-timeout", value: "DURATION", kind: .duration, group: .hooks,
        help: "Limit for one hook",
        more: """
            How long a hook can run before it is killed. Hooks run one after the other; a hook that fails or is killed is reported and has no other \
            effect.
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
        help: "Retries after a transient failure",
        more: """
            How many times a request is retried after a transient failure, such as a refused connection or a time-out. Regardless of this limit, \
            renewals of a held lease are retried for as long as it lasts, and a contender that waits (`acquire --wait`, `keepalive`) asks until its \
            wait is over.
            """,
        defaultText: "\(Defaults.retries)", parse: Values.number(0...1_000_000))

    static let backoff = Flag<BackoffRange>(
        "backoff", value: "INITIAL..MAX", kind: .text, group: .retrying,
        help: "First and longest pause",
        more: """
            The pause before the first retry, and the longest pause. Between these two, each pause is longer than the previous one; see \
            `--backoff-factor`. \(Systems.otherDefaults(\.connector.backoff, Defaults.backoff) { $0.text })
            """,
        defaultText: Defaults.backoff.text, parse: BackoffRange.parse)

    static let backoffFactor = Flag<Double>(
        "backoff-factor", value: "FACTOR", kind: .text, group: .retrying,
        help: "How much longer each pause is",
        more: "The factor by which each pause is longer than the previous one, from 1 to 100.",
        defaultText: "\(Int(Defaults.backoffFactor))", parse: Values.decimal(1...100))

    static let jitter = Flag<Double>(
        "jitter", value: "FRACTION", kind: .text, group: .retrying,
        help: "How much pauses vary, 0 to 1",
        more: """
            The fraction of a pause, from 0 to 1, by which it varies at random, so that contenders do not all ask at the same moment. Renewals vary \
            too, but only to come sooner. \(Systems.otherDefaults(\.connector.jitter, Defaults.jitter) { "\($0)" })
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
