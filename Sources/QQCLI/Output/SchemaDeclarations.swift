/// Declaration of a JSON object that `--json` prints. The manual page is generated from it, and tests compare the output with it.
struct Schema: Sendable {
    enum Kind: String, Sendable {
        case text = "string"
        case flag = "boolean"
        case count = "integer"
        case seconds = "number of seconds"
        case time = "RFC 3339 time"
        case list = "array"
        case object
    }

    struct Field: Sendable {
        let key: String
        let kind: Kind
        let mayBeNull: Bool
        /// Whether the key is present in some cases only.
        let isOptional: Bool
        let meaning: String

        init(_ key: String, _ kind: Kind, null: Bool = false, optional: Bool = false, _ meaning: String) {
            self.key = key
            self.kind = kind
            mayBeNull = null
            isOptional = optional
            self.meaning = meaning
        }
    }

    let name: String
    let about: String
    let fields: [Field]
}

extension Schemas {
    private static let name = Schema.Field("name", .text, "The election.")
    private static let server = Schema.Field("server", .text, "The server URL, without credentials.")
    private static let system = Schema.Field(
        "system", .text, "The system of the server: \(Systems.list(Systems.spoken.map { "`\($0.url.name)`" }, "or")).")
    private static let leader = Schema.Field("leader", .text, null: true, "The identity that leads; null if there is no leader.")
    private static let token = Schema.Field(
        "token", .count, null: true,
        "The term's fencing token, up to 64 bits; null if there is none. Some JSON readers keep only 53 bits exactly.")
    private static let note = Schema.Field("note", .text, null: true, "The note of the term that is led (`--note`); null if it has none.")
    private static let epoch = Schema.Field(
        "epoch", .count, null: true,
        "The number of the term among the nodes of the cluster; null if the system does not count terms in this way.")
    private static let ttl = Schema.Field("ttl", .seconds, null: true, "How long each grant or renewal of the lease lasts.")
    private static let expiresIn = Schema.Field("expires_in", .seconds, null: true, "How long the lease still runs unless it is renewed.")
    private static let acquiredAt = Schema.Field("acquired_at", .time, null: true, "When the term began.")

    private static func holders(_ meaning: String) -> Schema.Field {
        Schema.Field("holders", .list, optional: true, "One object for each slot that has a holder, \(meaning). Present only with `slots`.")
    }

    private static let linesLost = Schema.Field(
        "lines_lost", .count, optional: true,
        "The number of lines before this one that were left out because stdout was not read; present only after such a gap.")

    static let slot = Schema.Field(
        "slot", .count, null: true, optional: true,
        "The number of the slot that is or was ours, from 1; null if there is none. Present only with slots.")
    static let slots = Schema.Field(
        "slots", .count, optional: true, "The number of slots. Present only with slots.")

    /// Fields of several systems: one for each key, with the meanings of all.
    private static func merged(_ fields: [Schema.Field]) -> [Schema.Field] {
        var merged: [Schema.Field] = []
        for field in fields {
            guard let index = merged.firstIndex(where: { $0.key == field.key }) else {
                merged.append(field)
                continue
            }
            let other = merged[index]
            merged[index] = Schema.Field(
                field.key, other.kind, null: other.mayBeNull || field.mayBeNull, optional: other.isOptional || field.isOptional,
                other.meaning + " " + field.meaning)
        }
        return merged
    }

    static let acquire = Schema(
        name: "acquire", about: "`qq acquire` *NAME* `--json`, granted or refused.",
        fields: [
            .init("acquired", .flag, "Whether the lease is now ours."), name, server, system,
            .init("id", .text, null: true, "Our identity; null if the lease was refused."), leader, token, epoch, ttl, acquiredAt,
            .init("expires_at", .time, null: true, "When the lease ends unless it is renewed, by this machine's wall clock."), expiresIn,
            .init(
                "cooldown", .seconds, null: true,
                "How long our identity must not lead after stepping down; null if that is not the reason for the refusal."),
            slot, slots,
        ])

    static let release = Schema(
        name: "release", about: "`qq release` *NAME* `--json`.",
        fields: [
            .init("released", .flag, "Whether the lease was ours and has been released; with `--cancel-wait` the place in the queue."),
            name, server,
            system, leader, slot, slots,
        ])

    static let keepalive = Schema(
        name: "keepalive", about: "`qq keepalive` *NAME...* `--json`: one object a line.",
        fields: [
            .init("time", .time, "When the event happened."),
            .init(
                "event", .text,
                """
                `waiting`, `elected`, `renewed`, `lost`, `released`, `step_down_asked`, `retrying`, `address_taken` or `address_removed`; of the \
                connection to a server: `connected`, `disconnected`, `unreachable` or `server_leaving`, once for each election.
                """), name, server,
            .init("id", .text, "Our identity."), token, expiresIn,
            .init(
                "reason", .text, null: true,
                "Why, for `lost`, `retrying` and `address_removed`; the server, for events of the connection; the identity, for `waiting` and `step_down_asked`."
            ),
            .init("address", .text, optional: true, "The address of `--vip`; present only for `address_taken` and `address_removed`."),
            slot, slots, linesLost,
        ])

    static let status = Schema(
        name: "status",
        about: """
            `qq status` *NAME* `--json`. With several names, or with `--all`, these are the elements of `elections` in an object that also has \
            `server` and `system`. A name that several holders share is one object: its `state` is `held` if any slot is held, `expires_in` is the \
            end of the slot that ends first, and with more than one slot `leader` and `token` are null.
            """,
        fields: [
            name,
            .init(
                "state", .text,
                "`held`, `expired` (the last leader's lease has ended), `free`, or `unknown` (the system only shows that it is not ours)."),
            leader,
            .init("last_leader", .text, null: true, "The identity that leads, or led last."), note,
            .init("mine", .flag, "Whether the election is ours."),
            token, epoch,
            .init("revision", .count, null: true, "The version of the record, which grows with each renewal; null if there is none."),
            acquiredAt,
            .init("renewed_at", .time, null: true, "When the lease was last renewed."), ttl, expiresIn,
            .init("waiters", .count, null: true, "The number of waiters."),
            .init("alive", .flag, null: true, "Whether the leader's process is known to live; null if that cannot be known."),
            .init("host", .text, null: true, "The machine that the leader runs on."),
            .init("step_down_asked_by", .text, null: true, "The identity that has asked the leader to step down."),
            .init("problem", .text, null: true, "Why this election could not be read."),
            slots, holders("in their order: `slot`, from 1 on, and the keys of an election, whose `name` is that of the slot"),
            .init("slot", .count, optional: true, "The number of the slot; present only in elements of `holders`."),
            .init(
                "other_slots", .list, optional: true,
                "Other numbers of slots that contenders of this name have given; present only if they disagree. Each number is then an election of its own."
            ),
            .init(
                "advice", .object, optional: true,
                """
                With `--advice`: how long to wait between tries. `initial` and `maximum` in seconds, `multiplier`, and `jitter` from 0 to 1.
                """),
        ] + merged(Systems.documentation.flatMap(\.electionFields)))

    static let watch = Schema(
        name: "watch",
        about: """
            `qq watch` *NAME...* `--json`: one object a line. If several holders share the name, `state`, `leader`, `token`, `epoch`, `expires_in` and `note` \
            are those of the slot that has changed; at the start those of the name, as `qq status` prints them.
            """,
        fields: [
            .init("time", .time, "When the event was seen."),
            .init(
                "event", .text, "`state` (the state at the start), `elected`, `changed`, `released`, `expired` or `step_down_asked`."),
            name, server,
            .init("state", .text, "`held`, `expired`, `free` or `unknown`."), leader, token, epoch, expiresIn, note,
            .init(
                "slot", .count, null: true, optional: true,
                "The slot that has changed, from 1 on; null at the start. Present only if several holders share the name."), slots,
            holders("after the change: `slot`, `leader`, `token`, `epoch`, `ttl`, `expires_in` and `note`"), linesLost,
        ])

    static let stepDown = Schema(
        name: "step-down", about: "`qq step-down` *NAME* `--json`.",
        fields: [
            .init("stepped_down", .flag, "Whether the leader has stepped down."), name, server, system,
            .init("leader", .text, null: true, "The identity that led before."), token, slots,
            holders("as before: `slot`, `leader`, `token`, and `stepped_down`: whether this holder has stepped down"),
        ])

    static let clusterStatus = Schema(
        name: "cluster-status", about: "`qq cluster-status --json`.",
        fields: [
            server, system, .init("endpoints", .list, "One object for each endpoint, as below."),
            .init("members", .list, "One object for each member that the system knows, as below; empty if it knows none."),
        ])

    static let endpoint = Schema(
        name: "endpoint", about: "An element of `endpoints` in `qq cluster-status --json`.",
        fields: [
            .init("endpoint", .text, "The address of the endpoint."), .init("reachable", .flag, "Whether the endpoint answers."),
            .init("can_grant", .flag, "Whether the endpoint could grant a lease now, as far as can be seen."),
            .init("round_trip", .seconds, null: true, "How long one request took."),
            .init("problem", .text, null: true, "Why the endpoint does not answer, if it does not."),
        ] + merged(Systems.documentation.flatMap(\.endpointFields)))

    static let member = Schema(
        name: "member", about: "An element of `members` in `qq cluster-status --json`.",
        fields: [
            .init("id", .text, "The identity of the member."), .init("election", .text, "The election that the member takes part in."),
            .init("role", .text, "`leader`, `follower` or `unknown`, as the member reports."),
            .init("leader", .text, null: true, "The leader, as the member sees it."),
            .init("epoch", .count, null: true, "The number of the term, as the member sees it."),
            .init("uptime", .seconds, null: true, "How long the member has been running."),
            .init("version", .text, null: true, "The version that the member was configured with."),
            .init("round_trip", .seconds, null: true, "How long the member's answer took."),
            .init("problem", .text, null: true, "The problem of the member, such as that it did not answer."),
            .init(
                "slot", .count, optional: true,
                "The slot that the member takes part in, from 1 on; present only if several holders share the name."),
            slots,
        ])

    static let contextList = Schema(
        name: "context list", about: "`qq context list --json`.",
        fields: [
            .init("current", .text, null: true, "The current context."),
            .init("contexts", .list, "One object for each context, as `qq context show --json` prints it."),
        ])

    static let contextShow = Schema(
        name: "context show", about: "`qq context show` *NAME* `--json`.",
        fields: [
            .init("name", .text, "The context."), .init("current", .flag, "Whether it is the current context."),
            .init("server", .text, null: true, "The server URL; null if a `cluster.json` contains it."),
            .init("settings", .object, "The settings of the context, by the names of flags, as strings."),
        ])

    static let contextEffective = Schema(
        name: "context show --effective", about: "`qq context show --effective --json`.",
        fields: [.init("settings", .list, "One object for each setting: `key`, `value` (null if there is none) and `origin`.")])

    static let contextChange = Schema(
        name: "context add, use, remove, rename", about: "A change of the contexts, with `--json`.",
        fields: [.init("action", .text, "The action."), .init("name", .text, "The context, by its new name.")])

    static let version = Schema(
        name: "version", about: "`qq version --json`.",
        fields: [
            .init("version", .text, "The version of `qq`."),
            .init(
                "commit", .text, null: true,
                "The commit that it was built from, with `-dirty` appended if the sources had other changes; null if it is not known."),
            .init("systems", .list, "One object for each system, as below."),
        ])

    static let testedSystem = Schema(
        name: "system", about: "An element of `systems` in `qq version --json`.",
        fields: [
            .init("system", .text, "The system, by the name that other objects have in `system`."),
            .init("protocol", .text, "The protocol, with its version, that `qq` speaks with it."),
            .init(
                "tested_against", .list,
                "What `qq` was tested against, as strings of a name and a version: programs, or recordings of their answers."),
        ])

    static let all = [
        acquire, release, keepalive, status, watch, stepDown, clusterStatus, endpoint, member, contextList, contextShow, contextEffective,
        contextChange, sessionLease, sessionJob, version, testedSystem,
    ]

    /// qq-json(5).
    static let manPage = ManPage(
        name: "qq-json", section: 5, summary: "what qq --json prints",
        sections: [
            .init(
                "DESCRIPTION",
                [
                    .text(
                        """
                        Every command that answers takes `--json` and prints one object on one line of stdout; `watch` and `keepalive` print one object for \
                        each event. Keys are never renamed or removed, and their types never change; new keys can be added, so ignore unknown keys. \
                        Times are RFC 3339 in UTC, durations are seconds as numbers. Messages and errors go to stderr, and the exit code is the same as \
                        without `--json`.
                        """)
                ])
        ]
            + all.map { schema in
                .init(
                    schema.name.uppercased(),
                    [.text(schema.about)]
                        + schema.fields.map { field in
                            .term("`\(field.key)`", "\(field.kind.rawValue)\(field.mayBeNull ? " or null" : ""). \(field.meaning)")
                        })
            }
            + [
                .init(
                    "EXAMPLES",
                    [
                        .example(Example("Who leads", "qq status web --json | jq -r .leader")),
                        .example(Example("Each new leader", "qq watch web --json | jq -r 'select(.event == \"elected\") | .leader'")),
                    ])
            ])
}
