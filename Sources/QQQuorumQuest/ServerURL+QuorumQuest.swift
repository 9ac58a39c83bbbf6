import QQCore

extension ServerURL.System {
    /// A Quorum Quest server over gRPC: `qq://HOST:5050`, `qqs://...`.
    public static let quorumQuest = ServerURL.System(
        name: "quorum-quest", schemes: [.init("qq"), .init("qqs", tls: true)],
        authority: .hosts(areRequired: true, loneUserIsToken: false, defaultPort: 5050))
}
