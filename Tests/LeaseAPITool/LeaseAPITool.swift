import Glibc
import QQCore
import Support

/// An API server for leases, to try `qq` by hand and to show it in documents. Prints the path of a kubeconfig for user `ops`, who can lead, list and
/// watch in namespace `team`, and ends with stdin. Lines of stdin:
///
///     lead NAME HOLDER [SECONDS]    another program's leader renews a lease
///     allow VERB…                   the permissions of ops from now on
///     kill | start | terminate      the server's process
///     expire                        the token of ops is not accepted any more
///     trouble | well                the server's etcd fails, or works again
///
/// These are answered with a line of numbers, for `make bench-kubernetes`; times are nanoseconds on CLOCK_BOOTTIME, 0 for never:
///
///     watches                       running watches
///     count VERB NAME               calls so far
///     written NAME | released NAME  time of the last write of a lease, and of its first release
///     held                          leases with a holder
///     observe TTL INTERVAL TIME     in milliseconds: renewals within the next TIME, those of them that came more than a tenth later than
///                                   INTERVAL after the previous one, leases that were lost, calls, and calls that were updates
@main struct LeaseAPITool {
    let server: KubernetesServer
    let writes = LeaseWrites()

    static func main() async throws {
        let box = try Sandbox()
        let tool = LeaseAPITool(server: try await KubernetesServer.start(in: box))
        tool.server.store.subscribe(tool.writes.note)
        tool.server.allow("ops", LeaseAPI.Grant.watching)
        print(try await tool.server.kubeconfig(for: "ops"))
        fflush(nil)
        while let line = readLine() { try await tool.obey(line.split(separator: " ").map(String.init)) }
        _ = await box.close()
    }

    private func obey(_ words: [String]) async throws {
        switch words.first {
        case "lead": try lead(words)
        case "allow":
            let verbs = Set(words.dropFirst().compactMap { LeaseAPI.Verb(rawValue: $0) })
            server.api.change { $0.grants = [LeaseAPI.Grant("ops", verbs)] }
        case "kill": await server.kill()
        case "start": try await server.start()
        case "terminate": server.beginShutdown()
        case "expire": server.expire(token: "token-ops")
        case "trouble": server.api.fail(Set(LeaseAPI.Verb.allCases), times: nil, with: .unavailable())
        case "well": server.api.clearFaults()
        default: print(try await answer(words)?.map { "\($0)" }.joined(separator: " ") ?? "unknown: \(words.joined(separator: " "))")
        }
        fflush(nil)
    }

    /// The answer to a question; nil if it is not known.
    private func answer(_ words: [String]) async throws -> [UInt64]? {
        let numbers = words.dropFirst().compactMap { Int64($0) }
        switch (words.first, words.count) {
        case ("watches", 1): return [UInt64(server.api.watches.count)]
        case ("count", 3): return LeaseAPI.Verb(rawValue: words[1]).map { [UInt64(server.api.count($0, name: words[2]))] }
        case ("written", 2): return [writes.lastWrite(words[1])]
        case ("released", 2): return [writes.firstRelease(words[1])]
        case ("held", 1): return [UInt64(writes.held)]
        case ("observe", 4) where numbers.count == 3:
            let (calls, updates) = (self.calls, server.api.count(.update))
            writes.observe(ttl: .milliseconds(numbers[0]), interval: .milliseconds(numbers[1]))
            try await Task.sleep(for: .milliseconds(numbers[2]))
            let seen = writes.endObservation()
            return [
                UInt64(seen.renewals), UInt64(seen.late), UInt64(seen.lost.count), UInt64(self.calls - calls),
                UInt64(server.api.count(.update) - updates),
            ]
        default: return nil
        }
    }

    private var calls: Int { LeaseAPI.Verb.allCases.map { server.api.count($0) }.reduce(0, +) }

    private func lead(_ words: [String]) throws {
        guard words.count >= 3 else { return }
        let time: JSONValue = .string(WallTime.now().rfc3339(fractionDigits: 6))
        try server.store.put([
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": .string(words[1]), "namespace": "team"],
            "spec": [
                "holderIdentity": .string(words[2]), "leaseDurationSeconds": .integer(words.count > 3 ? Int64(words[3]) ?? 15 : 15),
                "acquireTime": time, "renewTime": time, "leaseTransitions": 2,
            ],
        ])
    }
}
