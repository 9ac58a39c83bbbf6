import Glibc
import QQCore
import Support

// Usage: bench-grpc serve quorum-quest
//        bench-grpc serve raftlock MILLISECONDS-OF-A-WRITE
//        bench-grpc cycles URL
// The parts of the gRPC benchmarks that speak gRPC: the servers, and loops of calls.

let words = CommandLine.arguments.dropFirst()
do {
    let sandbox = try Sandbox()
    defer { removeTree(sandbox.folder) }
    switch (words.first, words.dropFirst().first) {
    case ("serve", "quorum-quest"):
        let server = try await QuorumQuestServer.start(in: sandbox)
        serve(server.url) { server.remaining($0).map { Lease(remaining: $0) } }
    case ("serve", "raftlock"):
        var settings = RaftLockCluster.Settings()
        settings.writeTime = .milliseconds(words.last.flatMap { Int($0) } ?? 0)
        let cluster = try await RaftLockCluster.start(settings, in: sandbox)
        serve(cluster.url) { name in
            cluster.lock(name).flatMap { $0.owner == nil ? nil : Lease(remaining: $0.remaining, version: $0.version) }
        }
    case ("cycles", let url?): try await measureCycles(try ServerURL.parse(url, as: [.raftLock, .quorumQuest]))
    default:
        print("run me with make bench-grpc")
        exit(64)
    }
} catch {
    print("bench-grpc: \(error)")
    exit(1)
}
