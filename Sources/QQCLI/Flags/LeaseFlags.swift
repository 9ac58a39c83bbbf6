import QQCore
import QQVIP

/// Taking, holding and giving up a lease.
extension Flags {
    static let wait = Flag<WaitLimit>(
        "wait", value: "DURATION", kind: .duration, group: .lease,
        help: "Wait for the turn",
        more: """
            Wait until the lease is free instead of giving up at once. `--wait` alone waits until granted or interrupted; \
            `--wait=5m` gives up after five minutes with exit code 75. The duration is taken only after `=`.
            """,
        defaultText: "one try", withoutValue: .forever, parse: WaitLimit.parse)

    static let ttl = Flag<Duration>(
        "ttl", value: "DURATION", kind: .duration, group: .lease,
        help: "How long a lease lasts",
        more: """
            How long the lease lasts without renewal, and so how long an election may stand still after a holder's machine is lost. \
            A short TTL fails over sooner and bears less disturbance. Counted from before each request was sent.
            """,
        defaultText: Systems.defaultText(\.ttl, Defaults.ttl) { DurationText.format($0) },
        parse: Values.duration(atLeast: Defaults.shortestTTL))

    static let renewEvery = Flag<Duration>(
        "renew-every", value: "DURATION", kind: .duration, group: .lease,
        help: "Pause between renewals",
        more: "How often the lease is renewed. It must be shorter than the TTL, and should leave room for retries.",
        defaultText: "ttl/\(Defaults.ttlDivisor)", parse: Values.duration(atLeast: Defaults.shortestRenewal))

    static let minHold = Flag<Duration>(
        "min-hold", value: "DURATION", kind: .duration, group: .lease,
        help: "Keep the lease at least that long",
        more: """
            Keep the lease at least that long, even where the command ends sooner; `qq` stays until then. For cron: \
            a host whose clock is some seconds behind then finds the lease still taken and does not run a short job a second time.
            """,
        parse: Values.duration)

    static let requireToken = Flag(
        switch: "require-token", group: .lease,
        help: "Refuse systems without fencing tokens",
        more: """
            Fail with exit code 80, before anything is asked, where the system has no fencing token. For commands that pass `QQ_TOKEN` \
            on to a store that checks it.
            """)

    static let skipOK = Flag(
        switch: "skip-ok", group: .lease,
        help: "Exit 0 when somebody else leads",
        more: """
            Exit 0 instead of 1 when somebody else holds the lease and the command was therefore not run. For cron and timers, where not \
            being the one is no failure.
            """)

    static let conflictExitCode = Flag<Int32>(
        "conflict-exit-code", short: "E", value: "N", kind: .count, group: .lease,
        help: "Exit code when somebody leads",
        more: """
            The exit code, from 0 to 255, when somebody else holds the lease. Choose one that the command itself does not use, to tell \
            "not run" from "ran and failed".
            """,
        defaultText: "\(Defaults.conflictExitCode)", parse: Values.number(0...255))

    static let format = Flag<GrantFormat>(
        "format", value: "FORMAT", kind: .choice(GrantFormat.words), group: .output,
        help: "Print text, shell or json",
        more: """
            How the grant is printed when no command is given. `shell` prints `export QQ_...` lines for `eval`; `json` is what `--json` \
            prints.
            """,
        defaultText: GrantFormat.text.rawValue, parse: Values.choice)

    static let token = Flag<UInt64>(
        "token", value: "N", kind: .count, group: .lease,
        help: "Only the term with this fencing token",
        more: """
            Act only on the term that has this fencing token. When the lease has passed on since, nothing is changed and the exit code \
            is 1.
            """,
        parse: Values.number(0...UInt64.max))

    static let priority = Flag<Int>(
        "priority", value: "N", kind: .count, group: .lease,
        help: "Place in the system's queue",
        more: """
            The place in the system's queue while waiting, from -1000 to 1000: the highest comes first. This works on \
            \(Systems.able(.priority)); other systems answer with exit code 80.
            """,
        defaultText: "0", parse: Values.number(-1000...1000))

    static let cancelWait = Flag(
        switch: "cancel-wait", group: .lease,
        help: "Leave the queue instead",
        more: """
            Give up a place in the system's queue instead of a lease, under the identity given with `--id`. Systems without a queue \
            answer with exit code 80.
            """)

    static let once = Flag(
        switch: "once", group: .lease,
        help: "Renew once and exit",
        more: """
            Renew each election once and exit: 0 where all are held for another TTL, 1 where one is not ours. \
            Nothing is campaigned for. For schedulers that do the repeating themselves.
            """)

    static let pid = Flag<Int32>(
        "pid", value: "PID", kind: .pid, group: .lease,
        help: "Hold while this process lives",
        more: """
            Hold while the process with this number lives, then release and exit 0. The process is not killed when leadership \
            is lost; where it must be, run it with `qq acquire NAME -- CMD`.
            """,
        parse: Values.number(1...Int32.max))

    static let vip = Flag<VirtualAddress>(
        "vip", value: "ADDR/MASK@IF", kind: .text, group: .lease,
        help: "Carry this IP address while leading",
        more: """
            Carry a virtual IP address on an interface while leading, such as `10.0.0.5/24@eth0` or `2001:db8::5/64@eth0`. It is taken \
            upon the election, and made known to the neighbours by three gratuitous ARPs or neighbour advertisements. It is \
            removed before the lease is given up or can end: the kernel is told to remove it by itself, so that it goes also when `qq` is killed or \
            stopped. Needs CAP_NET_ADMIN, and CAP_NET_RAW for telling the neighbours.

            An address that is on that interface already when `qq` starts is taken for one that was left behind, and removed. \
            One that somebody else removes while we lead is put back at the next renewal; where that cannot be done, `qq` \
            steps down. The kernel counts in whole seconds, and may be a second late: the TTL must be at least 4 s, renewed every third of it, and the \
            address goes up to 2.5 s before a lease that is not renewed ends. A lease file of a holder that was killed is not \
            granted to others at once, as it is without `--vip`, but when its TTL is over.
            """,
        repeatable: true, parse: Values.virtualAddress)

    static let node = Flag<String>(
        "node", value: "ID", kind: .text, group: .selection,
        help: "Only if this identity leads",
        more: """
            Step down this identity and no other. When somebody else leads by then, nothing is changed and the exit code is 1. Where \
            leaders are nodes that can be asked, as on \(Systems.able(.askNodeToStepDown)), this one is asked, and `--force` is not needed.
            """,
        parse: Values.identity)

    static let force = Flag(
        switch: "force", group: .lease,
        help: "Take the lease from another's hands",
        more: """
            Take the lease away from a leader that is not us. Where the leader cannot be asked, its command is told by the failure of its \
            next renewal, so it may still run for up to its TTL; the system grants the lease to nobody before that where it can.
            """)

    static let yes = Flag(
        switch: "yes", short: "y", group: .lease,
        help: "Do not ask",
        more: "Do not ask for confirmation. Needed with `--force` where stdin and stdout are no terminals.")

    static let stepDownWait = Flag<Duration>(
        "wait", value: "DURATION", kind: .duration, group: .lease,
        help: "Time for it to let go",
        more: """
            How long to wait for the holder to let go; exit code 75 where it has not by then. `0s` asks and does not wait.
            """,
        defaultText: "its lease", parse: Values.duration)
}
