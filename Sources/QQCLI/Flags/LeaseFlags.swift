import QQCore
import QQVIP

/// Flags for acquiring, holding and releasing a lease.
extension Flags {
    static let wait = Flag<WaitLimit>(
        "wait", value: "DURATION", kind: .duration, group: .lease,
        help: "Wait for the turn",
        more: """
            Wait until the lease is free instead of giving up immediately. `--wait` alone waits until granted or interrupted; `--wait=5m` gives up \
            after five minutes with exit code 75. The duration is accepted only after `=`.

            A system that is away is waited for, too, even before the first answer: `qq` reports it once, and once more when it works again. Only a \
            failure that waiting cannot mend ends the wait: wrong usage or configuration, a denied request, and what the system cannot do.
            """,
        defaultText: "one try", withoutValue: .forever, parse: WaitLimit.parse)

    static let slots = Flag<Int>(
        "slots", value: "N", kind: .count, group: .lease,
        help: "Let at most N holders work at a time",
        more: """
            Contend for one of *N* slots, from 1 to \(Slot.most), instead of for the only one: at most *N* holders work at a time. Each slot is an election of \
            its own, named *NAME*-slot-*K*-of-*N*, with a lease and a token; `QQ_SLOT` is the number of the slot that is held. All contenders have to give \
            the same *N*; another *N* is refused where the system can list elections.
            """,
        parse: Values.number(1...Slot.most))

    static let note = Flag<String>(
        "note", value: "TEXT", kind: .text, group: .lease,
        help: "Text to show beside the leader",
        more: """
            A note for people, such as the number of a build or who to call: up to \(Note.maximumLength) bytes on one line. While the term lasts, `qq status`, \
            `qq watch` and refused contenders show it beside the leader. It is not part of the identity, and nothing is decided by it. It belongs to the term: \
            one that is resumed keeps the note that it began with. Everyone who can read the election can read it. This works on \
            \(Systems.able(.note)); on other systems the exit code is 80.
            """,
        parse: Values.note)

    static let ttl = Flag<Duration>(
        "ttl", value: "DURATION", kind: .duration, group: .lease,
        help: "How long a lease lasts",
        more: """
            How long the lease lasts without renewal, and therefore how long an election can be blocked after the holder's machine fails. A short TTL \
            fails over sooner but tolerates less disturbance. It counts from before each request was sent.
            """,
        defaultText: Systems.defaultText(\.connector.ttl, Defaults.ttl) { DurationText.format($0) },
        parse: Values.duration(atLeast: Defaults.shortestTTL))

    static let renewEvery = Flag<Duration>(
        "renew-every", value: "DURATION", kind: .duration, group: .lease,
        help: "Interval between renewals",
        more: "How often the lease is renewed. It must be shorter than the TTL, and should leave room for retries.",
        defaultText: "ttl/\(Defaults.ttlDivisor)", parse: Values.duration(atLeast: Defaults.shortestRenewal))

    static let minHold = Flag<Duration>(
        "min-hold", value: "DURATION", kind: .duration, group: .lease,
        help: "Keep the lease for at least this long",
        more: """
            Keep the lease for at least this long, even if the command ends sooner; `qq` keeps running until then. For cron: a host whose clock is \
            some seconds behind then finds the lease still held, and does not run a short job a second time.
            """,
        parse: Values.duration)

    static let requireToken = Flag(
        switch: "require-token", group: .lease,
        help: "Refuse systems without fencing tokens",
        more: """
            Fail with exit code 80, before any request is sent, if the system has no fencing tokens. For commands that pass `QQ_TOKEN` to a store that \
            checks it.
            """)

    static let skipOK = Flag(
        switch: "skip-ok", group: .lease,
        help: "Exit 0 if another contender leads",
        more: """
            Exit 0 instead of 1 if another contender holds the lease and the command was therefore not run; with `--wait=DURATION`, also instead of \
            75 if it still holds the lease at the end of the wait. For cron and timers, where not leading is not a failure. A system that cannot be \
            reached is still a failure.
            """)

    static let conflictExitCode = Flag<Int32>(
        "conflict-exit-code", short: "E", value: "N", kind: .count, group: .lease,
        help: "Exit code if another leads",
        more: """
            The exit code, from 0 to 255, if another contender holds the lease, also at the end of `--wait=DURATION`, where it replaces 75. Choose one \
            that the command itself does not use, to tell "not run" from "ran and failed".
            """,
        defaultText: "\(Defaults.conflictExitCode)", parse: Values.number(0...255))

    static let format = Flag<GrantFormat>(
        "format", value: "FORMAT", kind: .choice(GrantFormat.words), group: .output,
        help: "Print text, shell or json",
        more: """
            How to print the grant if no command is given. `shell` prints `export QQ_...` lines for `eval`; `json` prints the same as `--json`.
            """,
        defaultText: GrantFormat.text.rawValue, parse: Values.choice)

    static let token = Flag<UInt64>(
        "token", value: "N", kind: .count, group: .lease,
        help: "Only the term with this fencing token",
        more: """
            Act only on the term that has this fencing token. If that term has ended, nothing is changed and the exit code is 1.
            """,
        parse: Values.number(0...UInt64.max))

    static let priority = Flag<Int>(
        "priority", value: "N", kind: .count, group: .lease,
        help: "\(Systems.able(.priority)): priority in the queue",
        more: """
            The priority in the system's queue while waiting, from -1000 to 1000: the highest comes first. This works on \(Systems.able(.priority)); \
            on other systems the exit code is 80.
            """,
        defaultText: "0", parse: Values.number(-1000...1000))

    static let cancelWait = Flag(
        switch: "cancel-wait", group: .lease,
        help: "Leave the queue instead",
        more: """
            Give up the place in the system's queue instead of a lease, under the identity given with `--id`. On systems without a queue the exit code \
            is 80.
            """)

    static let once = Flag(
        switch: "once", group: .lease,
        help: "Renew once and exit",
        more: """
            Renew each election once and exit: 0 if all are held for another TTL, 1 if one is not ours. `qq` does not campaign. For schedulers that \
            repeat the command themselves.
            """)

    static let pid = Flag<Int32>(
        "pid", value: "PID", kind: .pid, group: .lease,
        help: "Hold while this process lives",
        more: """
            Hold while the process with this ID lives, then release and exit 0. The process is not killed when leadership is lost; if it must be, run \
            it with `qq acquire NAME -- CMD`.
            """,
        parse: Values.number(1...Int32.max))

    static let untilEOF = Flag(
        switch: "until-eof", group: .lease,
        help: "Hold until stdin is closed",
        more: """
            Hold until stdin is at its end, then release and exit 0: for a caller that can vanish without a signal, such as a client of ssh or of a \
            container runtime, whose connection closes stdin when it breaks. What is read from stdin until then is dropped.
            """)

    static let vip = Flag<VirtualAddress>(
        "vip", value: "ADDR/MASK@IF", kind: .text, group: .lease,
        help: "Carry this IP address while leading",
        more: """
            Carry a virtual IP address on an interface while leading, such as `10.0.0.5/24@eth0` or `2001:db8::5/64@eth0`. `qq` adds the address when \
            it is elected, and announces it to the neighbours with three gratuitous ARPs or neighbour advertisements. It removes the address before \
            the lease is released or can expire. The kernel is told to remove the address automatically, so that it is also removed if `qq` is killed \
            or stopped. Needs CAP_NET_ADMIN, and CAP_NET_RAW to announce the address.

            An address that is already on that interface when `qq` starts counts as left behind, and is removed. If another program removes the \
            address while `qq` leads, `qq` puts it back at the next renewal, or steps down if that fails. The kernel counts in whole seconds, and can \
            be a second late: the TTL must be at least 4 s, with a renewal every third of it, and the address is removed up to 2.5 s before a lease \
            that is not renewed expires. With `--vip`, the lease file of a killed holder is granted to others only after its TTL, not immediately.
            """,
        repeatable: true, parse: Values.virtualAddress)

    static let node = Flag<String>(
        "node", value: "ID", kind: .text, group: .selection,
        help: "Only if this identity leads",
        more: """
            Step down only this identity. If another identity leads by then, nothing is changed and the exit code is 1. On systems whose leaders are \
            nodes that can be asked, such as \(Systems.able(.askNodeToStepDown)), the node is asked, and `--force` is not needed.
            """,
        parse: Values.identity)

    static let force = Flag(
        switch: "force", group: .lease,
        help: "Take the lease from another leader",
        more: """
            Take the lease away from another leader. A leader that cannot be asked learns of this when its next renewal fails, so its command can \
            still run for up to its TTL. If the system can, it grants the lease to no one until then.
            """)

    static let yes = Flag(
        switch: "yes", short: "y", group: .lease,
        help: "Do not ask",
        more: "Do not ask for confirmation. Needed with `--force` or `--node` unless both stdin and stdout are terminals.")

    static let stepDownWait = Flag<Duration>(
        "wait", value: "DURATION", kind: .duration, group: .lease,
        help: "Time for it to step down",
        more: """
            How long to wait for the holder to step down; the exit code is 75 if it has not by then. `0s` asks and does not wait.
            """,
        defaultText: "its lease", parse: Values.duration)
}
