import QQCore

extension ServerURL.System {
    /// A NATS key-value bucket as go-cluster uses it: `nats://H1:4222,H2`, `tls://...`. A text alone before the `@` is a token, as NATS clients have it.
    public static let nats = ServerURL.System(
        name: "nats", schemes: [.init("nats"), .init("tls", tls: true)],
        authority: .hosts(areRequired: true, loneUserIsToken: true, defaultPort: NATSOptions.Address.defaultPort))
}
