import QQCore
import QQRaftLock

import struct LeaderElection.ConnectorInput
import struct LeaderElection.SystemConnector

extension SystemDescription {
    /// RaftLock, over gRPC.
    static let raftLock = SystemDescription(
        connector: .raftLock,
        retriedCodes: { $0[Flags.retryOn] },
        flags: { [Flags.retryOn.erased, Flags.followRedirects.erased, Flags.maxMessage.erased] },
        documentation: {
            SystemDocumentation(
                urls: "`raftlock://`*HOST*[`:`*PORT*][`,`*HOST*...], `raftlocks://`...",
                meaning: "A RaftLock cluster: the election *NAME* is a lock. See qq-raftlock(7).",
                protocol: "gRPC, raftlock.RaftLock", testedAgainst: ["RaftLock 1.0.0"], endpointFields: endpointFields,
                manual: { RaftLockManual.page })
        },
        makeCoordinator: { (input) throws(CoordinationError) in
            var settings = ConnectorInput(input, for: .raftLock, .grpc(input.invocation, input.choice))
            settings.access.followsRedirects = input.invocation[Flags.followRedirects]
            settings.priority = Int32(clamping: input.invocation[Flags.priority] ?? 0)
            settings.redirected = input.redirected()
            return try SystemConnector.raftLock.coordinator(settings)
        })

    private static let endpointFields: [Schema.Field] = [
        .init("node_id", .text, null: true, optional: true, "RaftLock: the ID of the node."),
        .init("role", .text, optional: true, "RaftLock: `leader`, `follower`, or `unknown` if nothing shows it."),
        .init("leader_id", .text, null: true, optional: true, "RaftLock: the ID of the Raft leader, as far as can be seen."),
        .init("term", .count, null: true, optional: true, "RaftLock: the Raft term."),
        .init(
            "commit_index", .count, null: true, optional: true, "RaftLock: the index up to which the node knows the log to be committed."),
        .init("last_applied", .count, null: true, optional: true, "RaftLock: the index up to which the node has applied the log."),
        .init("lag", .count, null: true, optional: true, "RaftLock: how far the node's log is behind the longest log among the endpoints."),
        .init(
            "serving", .flag, null: true, optional: true,
            "RaftLock: whether the node reports that it serves, which it does even without the other nodes."),
        .init("uptime", .seconds, null: true, optional: true, "RaftLock: how long the node has been running."),
        .init("active_locks", .count, null: true, optional: true, "RaftLock: the number of locks that are held."),
        .init("total_waiters", .count, null: true, optional: true, "RaftLock: the number of waiters for locks."),
    ]
}

extension Flags {
    static let followRedirects = Flag(
        switch: "follow-redirects", group: .access,
        help: "RaftLock: trust the leader's address",
        more: """
            RaftLock: if the servers name a Raft leader that is not among the servers of the URL, ask it at the address that they give. By default \
            only the servers of the URL are asked, because the addresses that RaftLock gives are often those for its peers, where no locks are served.
            """)

    static let retryOn = Flag<Set<String>>(
        "retry-on", value: "CODES", kind: .choice(LockErrorCode.allCases.map(\.rawValue)), group: .retrying,
        help: "RaftLock: which failures to retry",
        more: """
            RaftLock: retry only after these failures, named as the servers name them and separated by commas: \
            \(LockErrorCode.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")). A request that was not answered counts as `timeout`, a \
            server that cannot be reached as `unavailable`. A request that might have been carried out is always resolved by reading first. By default \
            all but \
            \(LockErrorCode.allCases.map(\.rawValue).filter { !LockErrorCode.usuallyRetried.contains($0) }.map { "`\($0)`" }.joined(separator: " and ")).
            """,
        parse: errorCodes)

    /// Names of failures, separated by commas.
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
