import QQCore

extension ServerURL.System {
    /// A RaftLock cluster over gRPC: `raftlock://H1:PORT,H2:PORT,H3:PORT`, `raftlocks://...`.
    public static let raftLock = ServerURL.System(
        name: "raftlock", schemes: [.init("raftlock"), .init("raftlocks", tls: true)],
        authority: .hosts(areRequired: true, loneUserIsToken: false, defaultPort: 5051))
}
