import QQCore

extension ServerURL.System {
    /// The members of a cluster of etcd: `etcd://HOST[:PORT],...[/PREFIX]`, `etcds://...` with TLS.
    public static let etcd = ServerURL.System(
        name: "etcd", schemes: [.init("etcd"), .init("etcds", tls: true)],
        authority: .hosts(areRequired: true, loneUserIsToken: false, defaultPort: EtcdRules.port), path: .prefix)
}
