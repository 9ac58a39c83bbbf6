// Objects that only sessions print with `--json`.
extension Schemas {
    static let sessionLease = Schema(
        name: "leases", about: "`leases` in a session or script with `--json`: an object for each lease that the session holds.",
        fields: [
            .init("name", .text, "The election."), .init("server", .text, "The server URL, without credentials."),
            .init("token", .count, null: true, "The fencing token; null if the system has none."),
            .init("expires_in", .seconds, "The time until the lease expires, unless it is renewed."), slot, slots,
        ])

    static let sessionJob = Schema(
        name: "jobs", about: "`jobs` in a session or script with `--json`: an object for each command that runs in the background.",
        fields: [
            .init("job", .count, "The job's number, for `fg` and `stop`."),
            .init("command", .text, "The line that started it, without credentials."),
            .init("running", .flag, "Whether the job runs; false if it was stopped."),
            .init("age", .seconds, "The time since the job was started."),
        ])
}
