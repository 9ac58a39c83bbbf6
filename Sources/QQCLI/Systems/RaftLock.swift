import QQCore
import QQGRPC
import QQRaftLock

extension SystemDescription {
    /// RaftLock, over gRPC. Backoff and jitter are those of its Go client.
    static let raftLock = SystemDescription(
        url: .raftLock, displayName: "RaftLock",
        backoff: BackoffRange(initial: .milliseconds(100), maximum: .seconds(5)), jitter: 0.1,
        retriedCodes: { $0[Flags.retryOn] ?? LockErrorCode.usuallyRetried },
        flags: { [Flags.retryOn.erased, Flags.followRedirects.erased, Flags.maxMessage.erased, Flags.metricsFile.erased] },
        capabilities: { RaftLockCoordinator.capabilities },
        documentation: {
            SystemDocumentation(
                urls: "`raftlock://`*HOST*[`:`*PORT*][`,`*HOST*...], `raftlocks://`...",
                meaning: "A RaftLock cluster: the election *NAME* is a lock. See qq-raftlock(7).", endpointFields: endpointFields,
                manual: { RaftLockManual.page })
        },
        makeCoordinator: { input in
            RaftLockCoordinator(
                server: input.url, settings: GRPCSettings(input.invocation, input.url), clock: input.loop, executor: input.loop,
                requestTimeout: input.requestTimeout, priority: Int32(clamping: input.invocation[Flags.priority] ?? 0),
                followsRedirects: input.invocation[Flags.followRedirects], metrics: input.metrics)
        })

    private static let endpointFields: [Schema.Field] = [
        .init("node_id", .text, null: true, optional: true, "RaftLock: what the node calls itself."),
        .init("role", .text, optional: true, "RaftLock: `leader`, `follower`, or `unknown` where nothing tells."),
        .init("leader_id", .text, null: true, optional: true, "RaftLock: the node that leads, as far as can be seen."),
        .init("term", .count, null: true, optional: true, "RaftLock: the term of the nodes among themselves."),
        .init("commit_index", .count, null: true, optional: true, "RaftLock: how much of the log the node knows to be agreed on."),
        .init("last_applied", .count, null: true, optional: true, "RaftLock: how much of the log it has carried out."),
        .init("lag", .count, null: true, optional: true, "RaftLock: how far its log is behind that of the endpoint that has most."),
        .init(
            "serving", .flag, null: true, optional: true,
            "RaftLock: whether it says that it serves, which it does also without the others."),
        .init("uptime", .seconds, null: true, optional: true, "RaftLock: how long it has been running."),
        .init("active_locks", .count, null: true, optional: true, "RaftLock: how many locks are held."),
        .init("total_waiters", .count, null: true, optional: true, "RaftLock: how many wait for locks."),
    ]
}

extension Flags {
    static let followRedirects = Flag(
        switch: "follow-redirects", group: .access,
        help: "RaftLock: trust the leader's address",
        more: """
            RaftLock: where the servers name a leader that is none of the URL's, ask it at the address that they give. By default only the \
            servers of the URL are asked; RaftLock's own addresses are often those of its peers, where no locks are served.
            """)

    static let retryOn = Flag<Set<String>>(
        "retry-on", value: "CODES", kind: .choice(LockErrorCode.allCases.map(\.rawValue)), group: .retrying,
        help: "RaftLock: which failures to retry",
        more: """
            RaftLock: try again after these failures alone, named as the servers name them and joined by commas: \
            \(LockErrorCode.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")). A request that was not answered \
            counts as `timeout`, a server that cannot be reached as `unavailable`. What may have been carried out is settled by reading first, whatever \
            this says. By default all but \
            \(LockErrorCode.allCases.map(\.rawValue).filter { !LockErrorCode.usuallyRetried.contains($0) }.map { "`\($0)`" }.joined(separator: " and ")).
            """,
        parse: errorCodes)

    /// Names of failures, joined by commas.
    private static func errorCodes(_ text: String) throws(UsageError) -> Set<String> {
        var codes: Set<String> = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
            let words = LockErrorCode.allCases.map(\.rawValue)
            guard words.contains(word) else {
                throw UsageError(
                    "'\(Printable.text(word))' is not one of \(words.joined(separator: ", "))",
                    hint: Suggestion.hint(for: word, among: words))
            }
            codes.insert(word)
        }
        return codes
    }
}
