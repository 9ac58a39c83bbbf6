/// Commands that acquire, release and hold leases.
extension Commands {
    static let acquire = Command(
        .acquire,
        summary: "Acquire a lease, and run a command only while holding it",
        description: """
            With a command: acquire the lease on *NAME*, run the command while renewing the lease, release it, and exit as the command did. If another \
            contender holds the lease, the command is not run and the exit code is 1.

            When leadership is lost while the command runs, the command and everything it started get SIGTERM, then SIGKILL, and are dead before the \
            lease can pass to another holder; the exit code is 79. They are dead before that even if `qq` itself is killed or stopped.

            Without a command: acquire the lease, print the grant and leave the lease held. The grant is saved, so that `qq release` and \
            `qq keepalive` can continue with it. Without either, the lease expires after its TTL.

            With a command, as a service of systemd with `Type=notify`, the unit is ready once `qq` waits (`--wait`) or leads; its status line \
            shows who leads, and since when. `qq` answers the watchdog (`WatchdogSec=`) while its loop runs. See `--notify`.
            """,
        positionals: [Positional("NAME", kind: .election, help: "The election to lead.", orBy: Flags.clusterConfig.erased)],
        takesTrailingCommand: true,
        rules: globalRules + [
            .onlyWhereKept(Flags.renewEvery.erased), .onlyWithCommand(Flags.killAfter.erased), .onlyWithCommand(Flags.minHold.erased),
            .onlyWithCommand(Flags.maxRun.erased), .onlyWithCommand(Flags.notify.erased), .onlyWithCommand(Flags.listen.erased),
            .onlyWithoutCommand(Flags.format.erased), .onlyWithoutCommand(Flags.json.erased),
            .exclusive(Flags.json.erased, Flags.format.erased),
            .exclusive(Flags.skipOK.erased, Flags.conflictExitCode.erased),
        ],
        examples: [
            Example("Run a backup unless one is running", "qq acquire backup -- ./backup.sh"),
            Example("Wait up to five minutes for the lease", "qq acquire backup --wait=5m -- ./backup.sh"),
            Example(
                "A cron line for every host: one runs it, the others exit 0",
                "0 3 * * * qq -s file:///mnt/shared/qq acquire nightly --skip-ok --min-hold 1m -- nightly-report"),
            Example("Stand by for a service; take over when its leader stops", "qq acquire web --wait -- web-server --port 80"),
            Example("At most three conversions at a time, on all machines together", "qq acquire convert --slots 3 --wait -- ./convert.sh"),
            Example(
                "Several lines of shell under one lease", "qq acquire deploy -- sh -c 'make build && make push'"),
            Example(
                "Acquire the lease for the rest of a script", "eval \"$(qq acquire deploy --ttl 10m --format shell)\""),
            Example(
                "Let a load balancer ask which machine leads", "qq acquire web --wait --listen 10.0.0.5:8080 -- web-server --port 80"),
            Example("Tell \"not run\" from the command's own failures", "qq acquire backup -E 200 -- ./backup.sh"),
            Example("Say what the leader is doing", "qq acquire deploy --note build-417 -- ./deploy.sh"),
        ],
        exitNotes: [
            ExitNote("0", "acquired and, with a command, the command's own 0; with `--skip-ok` also if another contender leads"),
            ExitNote("1", "another contender holds the lease; `-E` changes this"),
            ExitNote("75", "timed out waiting (`--wait=`*DURATION*)"),
            ExitNote("79", "leadership was lost while the command ran"),
            ExitNote("124", "the command ran longer than `--max-run`, and was ended"),
            ExitNote("126, 127", "the command could not be run, was not found"),
            ExitNote("128+n", "the command died of signal n"),
            ExitNote("other", "the command's own exit code"),
        ],
        seeAlso: ["qq-release(1)", "qq-keepalive(1)", "qq-status(1)", "qq-metrics(5)", "flock(1)"]
    ) {
        Flags.wait
        Flags.slots
        Flags.priority
        Flags.note
        Flags.ttl
        Flags.renewEvery
        Flags.minHold
        Flags.skipOK
        Flags.conflictExitCode
        Flags.requireToken
        Flags.killAfter
        Flags.maxRun
        Flags.notify
        Flags.hooks
        Flags.retrying
        Flags.format
        Flags.listen
        Flags.global
    }

    static let release = Command(
        .release,
        summary: "Release a lease acquired earlier",
        description: """
            Release the lease on *NAME*: by the grant that `qq acquire` saved, else under the given identity and fencing token. A lease that is not, \
            or no longer, ours is left alone and the exit code is 1.

            With `--slots`, and without it if only grants of slots are saved for *NAME*, the lease of a slot is released: that of `QQ_SLOT` if `QQ_NAME` \
            is *NAME*, as `qq acquire --format shell` exports both; else the only one that `qq acquire` has left held. If several are, the exit code is \
            64; each slot can be named as the election that it is.
            """,
        positionals: [Positional("NAME", kind: .grant, help: "The election to release.", orBy: Flags.clusterConfig.erased)],
        rules: globalRules + [
            .requires(Flags.token.erased, Flags.id.erased), .requires(Flags.cancelWait.erased, Flags.id.erased),
            .exclusive(Flags.cancelWait.erased, Flags.token.erased),
        ],
        examples: [
            Example("Release the lease that an earlier line of the script acquired", "qq release deploy"),
            Example("Release a lease acquired on another machine", "qq release deploy --id build-7 --token 42"),
            Example("Leave the queue", "qq release deploy --id build-7 --cancel-wait"),
        ],
        exitNotes: [
            ExitNote("0", "released"),
            ExitNote("1", "not ours: held by another contender, or not held; with `--cancel-wait`: not in the queue"),
            ExitNote("80", "the system cannot do this, such as `--cancel-wait` without a queue"),
        ],
        seeAlso: ["qq-acquire(1)", "qq-step-down(1)"]
    ) {
        Flags.token
        Flags.slots
        Flags.cancelWait
        Flags.retrying
        Flags.global
    }

    static let keepalive = Command(
        .keepalive,
        summary: "Hold elections until told to stop",
        description: """
            Hold each *NAME*: resume a saved grant if there is one, else campaign; renew, and campaign again after a loss. This continues until \
            SIGTERM or SIGINT, after which all leases are released. One process can hold any number of elections.

            A slow reader of stdout delays no renewal: up to 1 MiB of output is queued. Output that does not fit is left out and counted, on stderr \
            and with `--json` in the next line.

            Hooks notify other programs. Nothing is killed when leadership is lost: a program that must not run then should run under `qq acquire` \
            *NAME* `--` *CMD*.

            As a service of systemd with `Type=notify`, the unit is ready once each *NAME* is held, or waited for; its status line shows who leads, and \
            since when. `qq` answers the watchdog (`WatchdogSec=`) while its loop runs. Hooks do not get `NOTIFY_SOCKET`.

            With `--slots`, a slot of each *NAME* is held: the one whose grant `qq acquire` has saved, if no other `qq` holds it meanwhile, else any.
            """,
        positionals: [
            Positional("NAME", kind: .election, help: "The elections to hold.", variadic: true, orBy: Flags.clusterConfig.erased)
        ],
        rules: globalRules + [
            .exclusive(Flags.once.erased, Flags.pid.erased), .exclusive(Flags.once.erased, Flags.vip.erased),
            .exclusive(Flags.once.erased, Flags.untilEOF.erased), .exclusive(Flags.once.erased, Flags.listen.erased),
            .exclusive(Flags.once.erased, Flags.note.erased),
            .exclusive(Flags.slots.erased, Flags.vip.erased),
        ],
        examples: [
            Example(
                "Hold two elections and tell a script", "qq keepalive web cron --on-elected ./up.sh --on-lost ./down.sh"),
            Example("Hold while a running process lives", "qq keepalive web --pid 4711"),
            Example("Hold for a client that can vanish", "ssh host qq keepalive web --until-eof"),
            Example("Carry an address while leading", "qq keepalive web --vip 10.0.0.5/24@eth0"),
            Example("Answer health checks at http://127.0.0.1:8080/leader", "qq keepalive web --listen :8080"),
            Example("Renew once, from a timer", "qq keepalive deploy --once"),
        ],
        exitNotes: [
            ExitNote(
                "0",
                "stopped by a signal, the process of `--pid` ended, or stdin was closed with `--until-eof`, and all released; with `--once`: all renewed"
            ),
            ExitNote("1", "with `--once`: at least one is not ours"),
            ExitNote(
                "69",
                "`--listen`: another program listens at the address, or this machine does not have the address or the folder of the socket"),
            ExitNote("77", "denied: `--vip` without CAP_NET_ADMIN, `--listen` on a port below 1024"),
            ExitNote(
                "78",
                "`--vip`: no such interface, or this machine has the address elsewhere; `--listen`: the path is not that of a socket"),
        ],
        seeAlso: ["qq-acquire(1)", "qq-release(1)", "qq-watch(1)", "qq-json(5)", "qq-metrics(5)"]
    ) {
        Flags.once
        Flags.pid
        Flags.untilEOF
        Flags.slots
        Flags.vip
        Flags.priority
        Flags.note
        Flags.ttl
        Flags.renewEvery
        Flags.requireToken
        Flags.hooks
        Flags.retrying
        Flags.listen
        Flags.global
    }

    static let stepDown = Command(
        .stepDown,
        summary: "Make the current leader step down",
        description: """
            Make the leader of *NAME* step down: this identity, or another one. With `--node`, another leader is asked to step down, on systems whose \
            leaders are nodes that can be asked; with `--force`, its lease is taken away if asking does not help. If the leader is another one, `qq` \
            asks for confirmation on a terminal; in scripts `--yes` is needed.

            If several holders share *NAME* by `--slots`, our own ones step down; with `--node`, the slots of that identity; with `--force`, all of them. \
            One slot alone is named as the election that it is: *NAME*-slot-*K*-of-*N*. If not all of them step down, each one that does not is named, \
            and the exit code is that of the first.
            """,
        positionals: [
            Positional("NAME", kind: .election, help: "The election whose leader should step down.", orBy: Flags.clusterConfig.erased)
        ],
        rules: globalRules,
        examples: [
            Example("Step down from our own lease", "qq step-down web"),
            Example("Move the leader off a machine before maintenance", "qq step-down web --node web-3 --force --yes"),
            Example("Ask a node of a NATS cluster", "qq -s nats://n1,n2,n3 step-down web --node web-3 --yes"),
            Example("Only the term seen before", "qq step-down web --token 42 --force --yes"),
        ],
        exitNotes: [
            ExitNote("0", "the leader has stepped down"),
            ExitNote("1", "there is no leader, or `--node` or `--token` means another one"),
            ExitNote("75", "the leader has not stepped down in time (`--wait`)"),
            ExitNote("77", "not confirmed, or not allowed"),
            ExitNote("80", "the system cannot do this"),
        ],
        seeAlso: ["qq-release(1)", "qq-status(1)"]
    ) {
        Flags.node
        Flags.slotsToRead
        Flags.token
        Flags.force
        Flags.yes
        Flags.stepDownWait
        Flags.retrying
        Flags.global
    }
}
