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
        "system", .text, "What answers there: \(Systems.list(Systems.spoken.map { "`\($0.url.name)`" }, "or")).")
    private static let leader = Schema.Field("leader", .text, null: true, "The identity that leads; null where nobody does.")
    private static let token = Schema.Field(
        "token", .count, null: true,
        "The term's fencing token, up to 64 bits; null where there is none. Some JSON readers keep only 53 bits exactly.")
    private static let epoch = Schema.Field(
        "epoch", .count, null: true, "The number of the term among the nodes of the cluster; null where terms are not counted so.")
    private static let ttl = Schema.Field("ttl", .seconds, null: true, "For how long the lease is granted each time.")
    private static let expiresIn = Schema.Field("expires_in", .seconds, null: true, "How long the lease still runs unless it is renewed.")
    private static let acquiredAt = Schema.Field("acquired_at", .time, null: true, "When the term began.")

    private static let linesLost = Schema.Field(
        "lines_lost", .count, optional: true,
        "How many lines before this one were left out, since stdout was not read; only there after such a gap.")

    static let acquire = Schema(
        name: "acquire", about: "`qq acquire` *NAME* `--json`, granted or refused.",
        fields: [
            .init("acquired", .flag, "Whether we lead now."), name, server, system,
            .init("id", .text, null: true, "Our identity; null where it was refused."), leader, token, epoch, ttl, acquiredAt,
            .init("expires_at", .time, null: true, "When the lease ends unless it is renewed, by this machine's wall clock."), expiresIn,
            .init(
                "cooldown", .seconds, null: true,
                "For how long our identity may not lead, having stepped down; null where that is not why it was refused."),
        ])

    static let release = Schema(
        name: "release", about: "`qq release` *NAME* `--json`.",
        fields: [
            .init("released", .flag, "Whether it was ours and has been given up; with `--cancel-wait` a place in the queue."), name, server,
            system, leader,
        ])

    static let keepalive = Schema(
        name: "keepalive", about: "`qq keepalive` *NAME...* `--json`: one object a line.",
        fields: [
            .init("time", .time, "When it happened."),
            .init(
                "event", .text,
                """
                `waiting`, `elected`, `renewed`, `lost`, `released`, `step_down_asked`, `retrying`, `address_taken` or `address_removed`; of the \
                connection to a server: `connected`, `disconnected`, `unreachable` or `server_leaving`, once for each election.
                """), name, server,
            .init("id", .text, "Our identity."), token, expiresIn,
            .init(
                "reason", .text, null: true,
                "Why, for `lost`, `retrying` and `address_removed`; which server, for events of the connection; who, for `waiting` and `step_down_asked`."
            ),
            .init("address", .text, optional: true, "What `--vip` says, for `address_taken` and `address_removed` alone."), linesLost,
        ])

    static let status = Schema(
        name: "status",
        about: """
            `qq status` *NAME* `--json`. With several names, or with `--all`, these are the elements of `elections` in an object that also has \
            `server` and `system`.
            """,
        fields: [
            name,
            .init(
                "state", .text,
                "`held`, `expired` (the last leader's lease has ended), `free`, or `unknown` (the system only says that it is not ours)."),
            leader,
            .init("last_leader", .text, null: true, "The identity that leads, or led last."), .init("mine", .flag, "Whether we lead."),
            token, epoch,
            .init("revision", .count, null: true, "The version of the record, which grows with each renewal; null where there is none."),
            acquiredAt,
            .init("renewed_at", .time, null: true, "When the lease was last renewed."), ttl, expiresIn,
            .init("waiters", .count, null: true, "How many wait for their turn."),
            .init("alive", .flag, null: true, "Whether the leader's process is known to live; null where that cannot be known."),
            .init("host", .text, null: true, "The machine that the leader runs on."),
            .init("step_down_asked_by", .text, null: true, "Who has asked the leader to step down."),
            .init("problem", .text, null: true, "Why this election could not be read."),
            .init(
                "advice", .object, optional: true,
                """
                With `--advice`: how long to wait between tries. `initial` and `maximum` in seconds, `multiplier`, and `jitter` from 0 to 1.
                """),
        ])

    static let watch = Schema(
        name: "watch", about: "`qq watch` *NAME...* `--json`: one object a line.",
        fields: [
            .init("time", .time, "When it was seen."),
            .init(
                "event", .text, "`state` (what was found at the start), `elected`, `changed`, `released`, `expired` or `step_down_asked`."),
            name, server,
            .init("state", .text, "`held`, `expired`, `free` or `unknown`."), leader, token, epoch, expiresIn, linesLost,
        ])

    static let stepDown = Schema(
        name: "step-down", about: "`qq step-down` *NAME* `--json`.",
        fields: [
            .init("stepped_down", .flag, "Whether the leader has let go."), name, server, system,
            .init("leader", .text, null: true, "Who led before."), token,
        ])

    static let clusterStatus = Schema(
        name: "cluster-status", about: "`qq cluster-status --json`.",
        fields: [
            server, system, .init("endpoints", .list, "One object for each endpoint, as below."),
            .init("members", .list, "One object for each member that the system knows, as below; none for systems that know none."),
        ])

    static let endpoint = Schema(
        name: "endpoint", about: "An element of `endpoints` in `qq cluster-status --json`.",
        fields: [
            .init("endpoint", .text, "Where."), .init("reachable", .flag, "Whether it answers."),
            .init("can_grant", .flag, "Whether it could grant a lease now, as far as can be seen."),
            .init("round_trip", .seconds, null: true, "How long one question took."),
            .init("problem", .text, null: true, "What went wrong, where it does not answer."),
        ] + Systems.documentation.flatMap(\.endpointFields))

    static let member = Schema(
        name: "member", about: "An element of `members` in `qq cluster-status --json`.",
        fields: [
            .init("id", .text, "Its identity."), .init("election", .text, "What it takes part in."),
            .init("role", .text, "`leader`, `follower` or `unknown`, as it says itself."),
            .init("leader", .text, null: true, "Who leads, as it sees it."),
            .init("epoch", .count, null: true, "The number of the term, as it sees it."),
            .init("uptime", .seconds, null: true, "How long it has been running."),
            .init("version", .text, null: true, "The version that it was configured with."),
            .init("round_trip", .seconds, null: true, "How long its answer took."),
            .init("problem", .text, null: true, "What is wrong with it, such as that it did not answer."),
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
            .init("name", .text, "The context."), .init("current", .flag, "Whether it is the current one."),
            .init("server", .text, null: true, "Its server URL; null where a `cluster.json` says it."),
            .init("settings", .object, "What it says, by the names of flags, as texts."),
        ])

    static let contextEffective = Schema(
        name: "context show --effective", about: "`qq context show --effective --json`.",
        fields: [.init("settings", .list, "One object for each setting: `key`, `value` (null where there is none) and `origin`.")])

    static let contextChange = Schema(
        name: "context add, use, remove, rename", about: "A change of the contexts, with `--json`.",
        fields: [.init("action", .text, "What was done."), .init("name", .text, "The context, by its new name.")])

    static let all = [
        acquire, release, keepalive, status, watch, stepDown, clusterStatus, endpoint, member, contextList, contextShow, contextEffective,
        contextChange, sessionLease, sessionJob,
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
                        each event. Keys are never renamed or removed, and their types never change; new keys may be added, so pass over what you do not know. \
                        Times are RFC 3339 in UTC, durations are seconds as numbers. Messages and errors go to stderr, and the exit code says what it says \
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
